"""The demo's receivers, called as WSGI applications: they verify before they count."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from standardwebhooks import Webhook

from hub.demo.plan import RECEIVERS
from hub.demo.provider import Counting
from hub.demo.receivers import Receivers
from hub.webhooks.signing import new_secret

SECRET = new_secret().reveal()


def call(
    application: Any, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()}
    setup_testing_defaults(environ)
    statuses: list[str] = []
    answer = b"".join(application(environ, lambda status, _: statuses.append(status)))
    return int(statuses[0].split()[0]), json.loads(answer) if answer else None


def deliver(
    application: Receivers, name: str, event: str, *, webhook_id: str = "", secret: str = SECRET
) -> int:
    body = json.dumps({"type": "order.created", "data": {"event": event}})
    now = datetime.now(UTC)
    headers = {
        "webhook-id": webhook_id or event,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id or event, now, body),
    }
    return call(application, "POST", f"/hooks/run-1/{name}", body.encode(), headers)[0]


@pytest.fixture
def receivers() -> Receivers:
    application = Receivers(RECEIVERS, "run-1")
    for receiver in RECEIVERS:
        assert call(application, "PUT", f"/secrets/{receiver.name}", SECRET.encode())[0] == 204
    return application


def test_each_receiver_answers_in_its_own_way(receivers: Receivers) -> None:
    assert [deliver(receivers, "healthy", "e1") for _ in range(2)] == [200, 200]
    assert [deliver(receivers, "flaky", "e4") for _ in range(4)] == [500, 500, 200, 200]
    assert deliver(receivers, "flaky", "e1") == 200
    assert [deliver(receivers, "gone", "e1") for _ in range(2)] == [410, 410]
    _, stats = call(receivers, "GET", "/stats")
    assert {name: (one["calls"], one["accepted"]) for name, one in stats.items()} == {
        "healthy": (2, 1),
        "flaky": (5, 2),
        "gone": (2, 0),
    }


def test_what_they_saw_is_told_by_id(receivers: Receivers) -> None:
    for event in ("e1", "e2", "e1"):
        deliver(receivers, "healthy", event)
    _, seen = call(receivers, "GET", "/seen/healthy")
    assert seen == {"calls": {"e1": 2, "e2": 1}, "accepted": {"e1": 2, "e2": 1}}


def test_what_is_not_signed_by_the_hub_does_not_count(receivers: Receivers) -> None:
    assert deliver(receivers, "healthy", "e1", secret=new_secret().reveal()) == 401
    assert deliver(receivers, "healthy", "e1", webhook_id="e2") == 401
    assert call(receivers, "POST", "/hooks/run-1/healthy", b"{}")[0] == 401
    _, stats = call(receivers, "GET", "/stats")
    assert stats["healthy"] == {"calls": 0, "accepted": 0, "unverified": 3}


def test_an_event_that_somebody_publishes_by_hand_is_accepted(receivers: Receivers) -> None:
    for data in ('{"order": 42}', "7"):
        body = f'{{"type": "order.created", "data": {data}}}'
        now = datetime.now(UTC)
        headers = {
            "webhook-id": "mine",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(SECRET).sign("mine", now, body),
        }
        assert call(receivers, "POST", "/hooks/run-1/healthy", body.encode(), headers)[0] == 200


def test_there_is_nothing_else(receivers: Receivers) -> None:
    paths = ("/", "/hooks/run-1/healthy", "/seen/nobody")
    assert [call(receivers, "GET", path)[0] for path in paths] == [404] * 3


def test_what_another_run_left_behind_finds_nothing(receivers: Receivers) -> None:
    assert call(receivers, "POST", "/hooks/run-0/healthy", b"{}")[0] == 404
    assert call(receivers, "GET", "/stats")[1]["healthy"]["unverified"] == 0


def test_the_provider_is_counted_by_call_and_left_as_it_is() -> None:
    def other(environ: Any, start_response: Any) -> list[bytes]:
        start_response("418 I'm a teapot", [])
        return [b'"tea"']

    counting = Counting(other, "run-1")
    for name in ("run-1.call-001", "run-1.call-002", "run-1.call-001", "run-0.call-001"):
        assert call(counting, "GET", "/get", headers={"X-Demo-Call": name}) == (418, "tea")
    assert call(counting, "GET", "/health") == (418, "tea")
    assert call(counting, "GET", "/seen") == (200, {"call-001": 2, "call-002": 1})
