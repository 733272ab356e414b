"""What a service answers is written by strangers: nothing of it may cost other executions their results."""

from __future__ import annotations

from typing import Any

import pytest

from hub.flows.announcing import Announcer
from hub.web.bodies import parse_strict
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World

JSON = {"Content-Type": "application/json"}
#: Half of a surrogate pair: JSON can spell it, UTF-8 and Postgres cannot hold it.
HALF = rb'"\ud800"'


def beside(world: World, provider: Provider, poisoned: str) -> dict[str, Any]:
    """Run a poisoned execution together with a harmless one; the poisoned one."""
    harmless = world.create(provider.url, name="harmless")
    theirs = world.execute(harmless["id"])
    report = world.run_executions()
    assert report.recorded == 2
    assert world.read(theirs)["state"] == "done"
    return world.read(poisoned)


def listen(world: World, provider: Provider) -> None:
    world.announce = Announcer(world.sandbox, world.bell.ring).announce
    endpoint = {"name": "ops", "url": provider.url, "event_types": ["*"], "kind": "operations"}
    answer = world.call("POST", "/endpoints", json=endpoint)
    assert answer.status_code == 201, answer.text


def test_a_rule_that_quotes_what_cannot_be_stored(world: World, provider: Provider) -> None:
    provider.default = lambda call: Answer(
        400 if "9" in call.path else 200, b'{"why": ' + HALF + b"}", dict(JSON)
    )
    rule = {"when": {"statuses": [400]}, "then": "fail", "message": "it says {{ body.why }}"}
    made = world.create(provider.url, error_mapping=[rule])
    detail = beside(world, provider, world.execute(made["id"], path={"id": 9}))
    assert (detail["state"], detail["status"]) == ("failed", 400)
    assert detail["error"]["message"].startswith("it says")


@pytest.mark.parametrize(
    "body",
    [
        HALF,
        b"NaN",
        b"[1e999]",
        b'{"a": -Infinity}',
        b"\xff\x00",
        b"[" * 980 + b"]" * 980,
        b"9" * 5000,
        b'"\\u0000"',
    ],
    ids=["half", "nan", "huge", "infinite", "binary", "deep", "long", "nul"],
)
def test_an_answer_that_is_no_json_for_others_is_told_to_listeners(
    world: World, provider: Provider, body: bytes
) -> None:
    listen(world, provider)
    provider.default = lambda call: Answer(200, body if "9" in call.path else b"{}", dict(JSON))
    made = world.create(provider.url)
    detail = beside(world, provider, world.execute(made["id"], path={"id": 9}))
    assert detail["state"] == "done"
    # Whoever reads the event gets JSON, strictly.
    (told,) = [row.data for row in world.sql("SELECT data FROM hub.message") if detail["id"] in row.data]
    parse_strict(told.encode(), max_bytes=1_000_000, max_depth=70)
