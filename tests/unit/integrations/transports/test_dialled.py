from __future__ import annotations

import json

import pytest

from hub.integrations.transports.dialled import Verdict, concluded
from hub.integrations.transports.interface import Caps
from hub.net.outcome import ErrorClass, Outcome
from hub.net.policy import EgressRefused
from hub.net.sockets import Deadline
from hub.net.trace import Phase, Trace


def outcome_of(
    error: Exception | bytes, *, seconds: float = 10.0, cancelled: bool = False, max_bytes: int = 1000
) -> Outcome:
    caps = Caps(seconds, max_bytes)
    if cancelled:
        caps.cancellation.cancel()

    def work() -> bytes:
        if isinstance(error, bytes):
            return error
        raise error

    return concluded(work, Trace(phase=Phase.WAIT, peer="203.0.113.1"), Deadline(seconds), caps)


def test_an_answer_is_a_success() -> None:
    found = outcome_of(b"{}")
    assert (found.ok, found.body, found.peer) == (True, b"{}", "203.0.113.1")
    assert found.headers == {"content-type": "application/json"}


def test_a_verdict_says_what_the_service_said() -> None:
    verdict = Verdict(
        ErrorClass.PROVIDER_ERROR,
        "It\nbroke.",
        headers={"sqlstate": "23505"},
        details={"code": "x"},
        status=409,
    )
    found = outcome_of(verdict)
    assert found.error_class is ErrorClass.PROVIDER_ERROR
    assert (found.status, found.message) == (409, "It broke.")
    assert found.headers == {"sqlstate": "23505", "content-type": "application/json"}
    assert json.loads(found.body) == {"error": {"code": "x"}}
    assert len(outcome_of(verdict, max_bytes=5).body) == 5


@pytest.mark.parametrize(
    ("error", "seconds", "cancelled", "error_class"),
    [
        (ConnectionResetError("x"), 10, False, ErrorClass.RESET),
        (ConnectionResetError("x"), 0, False, ErrorClass.TIMEOUT),
        (ConnectionResetError("x"), 10, True, ErrorClass.CANCELLED),
        (Verdict(ErrorClass.PROTOCOL, "Half."), 10, False, ErrorClass.PROTOCOL),
        (Verdict(ErrorClass.PROTOCOL, "Half."), 0, False, ErrorClass.TIMEOUT),
        (Verdict(ErrorClass.UNAUTHORIZED, "No."), 0, False, ErrorClass.UNAUTHORIZED),
        (Verdict(ErrorClass.UNAUTHORIZED, "No."), 10, True, ErrorClass.CANCELLED),
        (EgressRefused("No."), 0, False, ErrorClass.REFUSED_BY_POLICY),
        (KeyError("x"), 10, False, ErrorClass.INTERNAL),
    ],
)
def test_what_ended_a_call_is_what_came_first(
    error: Exception, seconds: float, cancelled: bool, error_class: ErrorClass
) -> None:
    found = outcome_of(error, seconds=seconds, cancelled=cancelled)
    assert found.error_class is error_class
