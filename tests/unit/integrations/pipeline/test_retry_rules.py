"""What follows from an answer when the integration's own rules spoke of it."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest

from hub.db.states import State
from hub.integrations.pipeline.mapping import Action, apply, compile_rules
from hub.integrations.pipeline.retry import Decision, RetryPolicy, next_attempt
from hub.net.outcome import ErrorClass as E
from hub.net.outcome import Outcome

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def decide(outcome: Outcome, action: Action | None, *, step: int = 0, idempotent: bool = False) -> Decision:
    return next_attempt(RetryPolicy(), outcome, step, NOW, Random(1), idempotent=idempotent, action=action)


@pytest.mark.parametrize("action", ["retry", "rate_limited"])
@pytest.mark.parametrize("kind", [E.TIMEOUT, E.RESET, E.PROTOCOL, E.TOO_LARGE])
def test_a_rule_cannot_know_whether_an_unanswered_request_was_taken(action: Action, kind: E) -> None:
    lost = Outcome(None, kind, "x")
    assert decide(lost, action).reason == "not_repeatable"
    assert decide(lost, action, idempotent=True).state is State.DUE
    assert decide(Outcome(201, kind, "x"), action).reason == "not_repeatable"
    # With the status of a refusal, somebody answered, and the rule knows what it means.
    assert decide(Outcome(409, kind, "x"), action).state is State.DUE


@pytest.mark.parametrize("status", [None, 201])
@pytest.mark.parametrize("then", ["retry", "rate_limited", "refresh_credential"])
@pytest.mark.parametrize("kind", [E.TIMEOUT, E.RESET, E.PROTOCOL, E.TOO_LARGE])
def test_no_rule_makes_an_answer_of_one_that_was_lost(then: Action, kind: E, status: int | None) -> None:
    rules = compile_rules([{"when": {"error_classes": [kind.value]}, "then": then, "message": "busy"}])
    lost = Outcome(status, kind, "x")
    action = apply(rules, lost)
    assert (action, lost.error_class, lost.message) == ("retry", kind, "busy (x)")
    assert decide(lost, action).reason == "not_repeatable"
    assert decide(lost, action, idempotent=True).state is State.DUE
    refused = Outcome(409, kind, "x")
    assert decide(refused, apply(rules, refused)).state is State.DUE


def test_no_rule_goes_on_with_a_call_that_was_cancelled() -> None:
    cut = Outcome(200, E.CANCELLED, "x")
    action = apply(compile_rules([{"when": {"statuses": ["2xx"]}, "then": "rate_limited"}]), cut)
    assert decide(cut, action, idempotent=True).state is State.CANCELLED


def test_a_rule_repeats_what_would_be_final_and_ends_what_would_be_repeated() -> None:
    assert decide(Outcome(409, E.HTTP_4XX, "x"), "retry").state is State.DUE
    assert decide(Outcome(501, E.HTTP_5XX, "x"), "retry").state is State.DUE
    assert decide(Outcome(503, E.HTTP_5XX, "x"), "fail", idempotent=True) == Decision(
        State.FAILED, 0, reason="permanent"
    )
    assert decide(Outcome(409, E.HTTP_4XX, "x"), "retry", step=3).reason == "exhausted"


def test_a_fresh_token_is_tried_at_once_and_not_for_ever() -> None:
    refused = Outcome(401, E.UNAUTHORIZED, "x")
    assert decide(refused, "refresh_credential") == Decision(State.DUE, 1)
    assert decide(refused, "refresh_credential", step=3).reason == "exhausted"


def test_a_cancelled_call_stays_cancelled() -> None:
    assert decide(Outcome(None, E.CANCELLED, "x"), "retry") == Decision(
        State.CANCELLED, 0, reason="cancelled"
    )


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 90)}, 90),
        ({"ratelimit": '"a";r=0;t=45'}, 45),
        ({"retry-after": "30"}, 30),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "90"}, 1),
    ],
    ids=str,
)
def test_the_services_own_moment_is_waited_for(headers: dict[str, str], least: float) -> None:
    found = decide(Outcome(503, E.HTTP_5XX, "x", headers), None, idempotent=True)
    assert found.state is State.DUE
    assert least <= found.due_in <= least * 1.1


def test_a_fault_of_ours_that_hides_what_became_of_a_request_does_not_repeat_it() -> None:
    fault = Outcome(None, E.INTERNAL, "x")
    for unknown, idempotent, state in (
        (True, False, State.FAILED),
        (True, True, State.DUE),
        (False, False, State.DUE),
    ):
        found = next_attempt(RetryPolicy(), fault, 0, NOW, Random(1), idempotent=idempotent, unknown=unknown)
        assert found.state is state
        assert found.step == 0
