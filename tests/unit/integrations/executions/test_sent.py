"""What is kept of what was sent."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from hub.core.ids import new_uuid
from hub.integrations.executions.job import Job
from hub.integrations.executions.sent import MAX_PAYLOAD, request_of
from hub.integrations.pipeline.chain import Made
from hub.integrations.pipeline.redaction import Redactor
from hub.integrations.transports.interface import Prepared
from hub.net.outcome import Outcome


def shown(
    payload: Any, given: Any = None, *, mapping: str | None = None, cached: bool = False
) -> dict[str, Any]:
    """The payload as who reads the row sees it."""
    job = Job(new_uuid(), new_uuid(), 1, 1, 0, new_uuid(), "do", given or {}, 0, None, mapping=mapping)
    job.call = SimpleNamespace(redactor=Redactor(["123456789", "a secret"]))  # type: ignore[assignment]  # all that is used
    prepared = Prepared("POST", "https://x/", {}, payload, safe=False, idempotent=False, wire=None)
    request = request_of(job, Made(Outcome(200, None), idempotent=False, prepared=prepared, cached=cached))
    found: dict[str, Any] = json.loads(msgspec.json.encode(request))
    assert (found.pop("method"), found.pop("endpoint")) == ("POST", "https://x/")
    return found


@pytest.mark.parametrize(
    ("payload", "kept"),
    [
        ({"a": [1, None, "ü"]}, {"a": [1, None, "ü"]}),
        ("a=b", "a=b"),
        ({"n": 2**80}, {"n": 2**80}),
        ({"a": "say a secret"}, {"a": "say ***"}),
        # Where a mask spoils the JSON, its text is left.
        ({"n": 123456789}, '{"n": ***}'),
        # Postgres takes no U+0000.
        ("a\0b", "a\ufffdb"),
        ({"a": "\0"}, '{"a": "\\u0000"}'),
        ({"a": "\ud800"}, {"a": "?"}),
    ],
    ids=[
        "JSON",
        "text",
        "large number",
        "masked",
        "masked number",
        "text with NUL",
        "JSON with NUL",
        "surrogate",
    ],
)
def test_what_was_sent_is_kept_as_it_can_be(payload: Any, kept: Any) -> None:
    assert shown(payload) == {"payload": kept}


def test_a_long_one_is_cut_between_characters_and_said_to_be() -> None:
    found = shown({"text": "ü" * MAX_PAYLOAD})
    assert found["payload_truncated"] is True
    assert found["payload"].startswith('{"text": "üü')
    assert MAX_PAYLOAD - 1 <= len(found["payload"].encode()) <= MAX_PAYLOAD
    # A secret at the cut is masked before.
    assert "a s" not in shown("x" * (MAX_PAYLOAD - 3) + "a secret")["payload"]


def test_what_the_input_says_or_nobody_was_sent_is_not_kept() -> None:
    body = {"a": 1}
    assert shown(None) == shown(body, {"body": {"a": 1}}) == shown(body, body) == {}
    assert shown(body, cached=True) == {}
    # What JSON cannot say.
    assert shown({"a": float("nan")}) == shown({"a": object()}) == {}
    # A flow's is kept whatever it looks like.
    assert shown(body, {"body": body}, mapping="[]") == {"payload": body}
