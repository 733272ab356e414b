"""Whatever a service answers: one execution ends with a reason, and its neighbours end as they should."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World

ODD = {
    "half a character": b'{"ok":false,"error":"\\ud800","n":1}',
    "zero": b'{"ok":false,"error":"\\u0000"}',
    "infinite": b'{"ok":false,"error":1e999}',
    "not a number": b'{"ok":false,"error":NaN}',
    "a long number": b'{"ok":false,"error":' + b"9" * 5000 + b"}",
    "deep": b'{"ok":false,"error":' + b"[" * 900 + b"]" * 900 + b"}",
    "deepest": b"[" * 50_000,
    "a key twice": b'{"ok":false,"ok":true,"error":"x"}',
    "another encoding": '{"ok":false,"error":"é"}'.encode("utf-16"),
    "a mark in front": b'\xef\xbb\xbf{"ok":false,"error":"x"}',
    "no JSON": b"\xff\xfe\x00",
    "nothing": b"",
    "a text": b'"x"',
}
RULES = [{"when": {"body": {"ok": False}}, "then": "fail", "message": "It says {{ body.error }}"}]
SHAPING: dict[str, Any] = {
    "plain": {},
    "rules": {"error_mapping": RULES},
    "steps": {"response_transform": [{"rename": {"error": "problem"}}]},
    "expressions": {"response_transform": [{"jmespath": "error"}]},
    "masks": {"data_policy": {"redact": ["data.n", "input.body.n"]}},
}


@pytest.mark.parametrize("shape", list(SHAPING))
def test_an_odd_answer_ends_its_own_execution_alone(world: World, provider: Provider, shape: str) -> None:
    made = world.create(provider.url, **SHAPING[shape])
    good = b'{"ok":true,"error":"fine"}'
    odd = [(name, Answer(status, body)) for name, body in ODD.items() for status in (200, 400)]
    script = [answer for _, one in odd for answer in (one, Answer(200, good))]
    names = [name for name, _ in odd for _ in range(2)]
    provider.script = list(script)
    ids = [world.execute(made["id"]) for _ in script]
    world.run_executions(capacity=1)
    for position, (name, execution) in enumerate(zip(names, ids, strict=True)):
        answer = world.call("GET", f"/executions/{execution}")
        assert answer.status_code == 200, (name, answer.text)
        detail = json.loads(answer.text)
        wanted = {"done"} if position % 2 else {"done", "failed"}
        assert detail["state"] in wanted, (name, detail["reason"], detail["error"], detail["attempt_log"])
        assert (detail["error"] or {}).get("type") != "internal", (name, detail["error"])
        assert detail["attempts"] == 1
    assert world.call("GET", "/executions?limit=250").status_code == 200
