from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from hub.core.errors import Unavailable
from hub.core.ids import new_uuid
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.call import Context, Tools
from hub.integrations.target import Target, load_target
from hub.net.outcome import ErrorClass, Outcome
from hub.transforms import Sandbox


def target(**fields: Any) -> Target:
    """An integration as it is stored."""
    row = SimpleNamespace(
        id=new_uuid(), tenant_id=new_uuid(), name="x", type="api", protocol="rest", base_url="http://127.0.0.1:9",
        settings={}, auth={"mode": "none"}, tls=None, secret_ids={}, headers={}, timeout_seconds=1.0,
        max_response_bytes=1000, follow_redirects=0, retry_policy={}, request_transform=[], response_transform=[],
        operations={"make": {"method": "POST", "path": "/"}}, error_mapping=[], rate_limit={}, caching={}, quota={},
        access={}, data_policy={}, logging={}, health_check=None, status="active", version=1, updated_at=None,
        granted_at=None,
    )  # fmt: skip
    vars(row).update(fields)
    found = load_target(row, {})  # type: ignore[arg-type]
    assert found is not None
    return found


def run(
    monkeypatch: pytest.MonkeyPatch, one: Target, send: Any, sandbox: Sandbox | None = None
) -> chain.Made:
    monkeypatch.setattr(type(one.transport), "send", lambda *_: send())
    made = chain.run(one, "make", {"body": {}}, Context(new_uuid()), Tools(Mock(), sandbox))
    assert isinstance(made, chain.Made)
    return made


def test_a_transport_that_breaks_may_have_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Outcome:
        raise RuntimeError("canary")

    made = run(monkeypatch, target(), broken)
    assert (made.outcome.error_class, made.unknown, made.idempotent) == (ErrorClass.INTERNAL, True, False)
    assert "canary" not in made.outcome.message


def test_a_fault_after_the_answer_may_not_repeat_it_either(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(chain, "AFTER", (("response_transform", fail),))
    made = run(monkeypatch, target(), lambda: Outcome(200, None))
    assert (made.outcome.error_class, made.unknown) == (ErrorClass.INTERNAL, True)


@pytest.mark.parametrize("name", ["heed", "cache_fill"])
def test_what_is_done_on_the_side_takes_nothing_from_the_answer(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(chain, "AFTER", ((name, fail),))
    made = run(monkeypatch, target(), lambda: Outcome(200, None))
    assert (made.outcome.status, made.outcome.error_class, made.unknown) == (200, None, False)


def test_expressions_that_find_no_room_are_no_fault_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def crowded(*_: Any) -> Any:
        raise Unavailable("Too many expressions wait.")

    monkeypatch.setattr(Sandbox, "evaluate", crowded)
    steps = [{"jmespath": "a"}]
    made = run(
        monkeypatch, target(response_transform=steps), lambda: Outcome(200, None, body=b'{"a":1}'), Sandbox()
    )
    assert (made.outcome.error_class, made.unknown) == (ErrorClass.INTERNAL, True)
    # What came is there.
    assert (made.outcome.status, made.outcome.body) == (200, b'{"a":1}')


def test_a_fault_before_the_call_left_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(chain, "BEFORE", (("load", fail),))
    made = run(monkeypatch, target(), lambda: Outcome(200, None))
    assert (made.outcome.error_class, made.unknown, made.idempotent) == (ErrorClass.INTERNAL, False, True)


NO = [{"when": {"body": {"ok": False}}, "then": "fail"}]
BUSY = [{"when": {"body": {"ok": False}}, "then": "rate_limited"}]
GONE = [{"when": {"body": {"ok": False}}, "then": "refresh_credential"}]


@pytest.mark.parametrize(
    ("status", "came", "rules", "found"),
    [
        (404, ErrorClass.HTTP_4XX, [], None),
        (503, ErrorClass.HTTP_5XX, [], None),
        (301, ErrorClass.REDIRECT, [], None),
        (401, ErrorClass.HTTP_4XX, [], None),
        (429, ErrorClass.HTTP_4XX, [], None),
        # It broke off after the status had come.
        (200, ErrorClass.TIMEOUT, [], ErrorClass.TIMEOUT),
        (404, ErrorClass.RESET, [], ErrorClass.RESET),
        (200, ErrorClass.TOO_LARGE, [], ErrorClass.TOO_LARGE),
        # What the body says.
        (200, None, NO, ErrorClass.PROVIDER_ERROR),
        (200, None, BUSY, ErrorClass.RATE_LIMITED),
        (200, None, GONE, ErrorClass.UNAUTHORIZED),
        (403, ErrorClass.HTTP_4XX, BUSY, ErrorClass.RATE_LIMITED),
        (200, ErrorClass.UNAUTHORIZED, [], ErrorClass.UNAUTHORIZED),
    ],
)
def test_an_expected_status_forgives_what_the_status_alone_decided(
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    came: ErrorClass | None,
    rules: list[Any],
    found: ErrorClass | None,
) -> None:
    one = target(health_check={"path": "/", "expected_statuses": [status]}, error_mapping=rules)
    outcome = Outcome(status, came, "It failed." if came else "", body=b'{"ok":false}')
    monkeypatch.setattr(type(one.transport), "send", lambda *_: outcome)
    made = chain.probe(one, Context(new_uuid()), Tools(Mock()))
    assert isinstance(made, chain.Made)
    assert (made.outcome.error_class, bool(made.outcome.message)) == (found, found is not None)
