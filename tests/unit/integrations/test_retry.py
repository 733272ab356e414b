from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest

from hub.db.states import State
from hub.integrations.pipeline.retry import Decision, RetryPolicy, next_attempt
from hub.net.outcome import NEVER_SENT, ErrorClass, Outcome

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class NoJitter(Random):
    def random(self) -> float:
        return 0.0


def http(status: int, **headers: str) -> Outcome:
    kind = ErrorClass.HTTP_4XX if status < 500 else ErrorClass.HTTP_5XX
    return Outcome(
        status,
        kind,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        peer="1.1.1.1",
    )


def decide(
    outcome: Outcome,
    *,
    step: int = 0,
    idempotent: bool = True,
    policy: RetryPolicy | None = None,
    attempt: int = 1,
) -> Decision:
    return next_attempt(
        policy or RetryPolicy(), outcome, step, NOW, NoJitter(), idempotent=idempotent, attempt=attempt
    )


def test_success_is_the_end() -> None:
    assert decide(Outcome(200, None), step=2) == Decision(State.DONE, 2)


def test_waits_double_from_a_second_up_to_the_cap() -> None:
    policy = RetryPolicy(max_retries=15)
    waits = [decide(http(500), step=step, policy=policy).due_in for step in range(12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]


@pytest.mark.parametrize(
    ("strategy", "waits"), [("linear", [2, 4, 6, 8]), ("fixed", [2, 2, 2, 2]), ("exponential", [2, 4, 7, 7])]
)
def test_each_strategy_grows_in_its_own_way(strategy: str, waits: list[float]) -> None:
    cap = 7 if strategy == "exponential" else 600
    policy = RetryPolicy.of({"max_retries": 9, "strategy": strategy, "base_seconds": 2, "cap_seconds": cap})
    assert [policy.wait(step) for step in range(4)] == waits


def test_an_absurd_step_does_not_overflow() -> None:
    assert RetryPolicy().wait(5000) == 600


def test_jitter_only_adds_and_at_most_a_tenth() -> None:
    rng = Random(3)
    waits = [
        next_attempt(RetryPolicy(), http(503, retry_after="50"), 0, NOW, rng, idempotent=True).due_in
        for _ in range(300)
    ]
    assert 50 <= min(waits) < 50.5
    assert 54.5 < max(waits) <= 55


def test_the_default_is_three_retries() -> None:
    assert decide(http(500), step=2).state is State.DUE
    assert decide(http(500), step=3) == Decision(State.FAILED, 3, reason="exhausted")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_statuses_that_may_pass_are_retried(status: int) -> None:
    assert decide(http(status)).state is State.DUE


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 451, 501, 505])
def test_statuses_that_will_not_pass_are_not(status: int) -> None:
    assert decide(http(status)) == Decision(State.FAILED, 0, reason="permanent")


@pytest.mark.parametrize(
    "kind",
    [ErrorClass.REFUSED_BY_POLICY, ErrorClass.TOO_LARGE, ErrorClass.REDIRECT],
    ids=lambda kind: kind.value,
)
def test_faults_that_repeating_does_not_mend_are_final(kind: ErrorClass) -> None:
    assert decide(Outcome(None, kind)).reason == "permanent"


@pytest.mark.parametrize(
    "kind", sorted(NEVER_SENT - {ErrorClass.REFUSED_BY_POLICY}), ids=lambda kind: kind.value
)
def test_what_never_left_is_repeated_whatever_it_was(kind: ErrorClass) -> None:
    assert decide(Outcome(None, kind), idempotent=False).state is State.DUE


@pytest.mark.parametrize(
    "kind", [ErrorClass.TIMEOUT, ErrorClass.RESET, ErrorClass.PROTOCOL], ids=lambda kind: kind.value
)
def test_what_may_have_arrived_is_repeated_only_when_that_is_harmless(kind: ErrorClass) -> None:
    outcome = Outcome(None, kind, peer="1.1.1.1")
    assert decide(outcome).state is State.DUE
    assert decide(outcome, idempotent=False) == Decision(State.FAILED, 0, reason="not_repeatable")


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (http(429, retry_after="3"), State.DUE),
        (http(503, retry_after="Sun, 22 Nov 2026 12:00:09 GMT"), State.DUE),
        (http(429), State.FAILED),
        (http(503, retry_after="soon"), State.FAILED),
        (http(500, retry_after="3"), State.FAILED),
    ],
)
def test_a_provider_that_says_come_again_has_not_taken_it(outcome: Outcome, state: State) -> None:
    assert decide(outcome, idempotent=False).state is state


@pytest.mark.parametrize(
    ("header", "wait"),
    [("120", 120), ("0", 1), ("Sun, 22 Nov 2026 12:05:00 GMT", 300), ("9999999", 86_400), ("tomorrow", 1)],
)
def test_retry_after_postpones_up_to_a_day_and_never_hastens(header: str, wait: float) -> None:
    assert decide(http(429, retry_after=header)).due_in == wait


def test_a_fault_of_ours_costs_no_retry_and_yet_comes_to_an_end() -> None:
    ours = Outcome(None, ErrorClass.INTERNAL)
    assert decide(ours, step=3, idempotent=False) == Decision(State.DUE, 3, due_in=5.0)
    assert decide(ours, attempt=20).reason == "internal"
    arrived = Outcome(200, ErrorClass.INTERNAL, peer="1.1.1.1")
    assert decide(arrived, idempotent=False).reason == "not_repeatable"
