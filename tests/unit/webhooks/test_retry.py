from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.settings import load_settings
from hub.db.states import State
from hub.net.outcome import ErrorClass, Outcome, classify_status
from hub.webhooks.retry import MAX_DELAY, MAX_RETRIES, Decision, Schedules, next_step, schedule_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = 86_400.0

schedules = st.lists(st.floats(0, DAY), max_size=12).map(tuple)
seeds = st.integers(0, 2**32)
failing = st.one_of(
    st.integers(300, 599).filter(lambda status: status != 410).map(lambda s: Outcome(s, classify_status(s))),
    st.sampled_from([e for e in ErrorClass if e is not ErrorClass.INTERNAL]).map(lambda e: Outcome(None, e)),
)


def decide(schedule: tuple[float, ...], outcome: Outcome, step: int, seed: int = 1) -> Decision:
    return next_step(schedule, outcome, step, NOW, Random(seed))


@given(schedules, st.integers(200, 299), st.integers(0, 20))
def test_any_2xx_is_success(schedule: tuple[float, ...], status: int, step: int) -> None:
    assert decide(schedule, Outcome(status, None), step) == Decision(State.DONE, step=step)


@given(schedules, failing, seeds)
def test_every_failure_walks_the_schedule_one_step_at_a_time_to_its_end(
    schedule: tuple[float, ...], outcome: Outcome, seed: int
) -> None:
    step = 0
    for delay in schedule:
        decision = decide(schedule, outcome, step, seed)
        assert (decision.state, decision.step, decision.disable) == (State.DUE, step + 1, None)
        # Jitter only adds, at most a tenth.
        assert delay <= decision.due_in <= delay * 1.1
        step = decision.step
    assert decide(schedule, outcome, step, seed) == Decision(State.FAILED, step=step, reason="exhausted")


@given(schedules, st.integers(0, 11), seeds, st.sampled_from([429, 503]), st.floats(0, 3 * DAY))
def test_retry_after_postpones_and_never_hastens(
    schedule: tuple[float, ...], step: int, seed: int, status: int, wait: float
) -> None:
    plain = decide(schedule, Outcome(status, classify_status(status)), step, seed)
    for value in (str(int(wait)), format_datetime(NOW + timedelta(seconds=int(wait)), usegmt=True)):
        asked = decide(
            schedule, Outcome(status, classify_status(status), headers={"retry-after": value}), step, seed
        )
        assert (asked.state, asked.step, asked.reason) == (plain.state, plain.step, plain.reason)
        if plain.state is State.DUE:
            assert asked.due_in == max(plain.due_in, min(int(wait), DAY))


@pytest.mark.parametrize("status", [301, 400, 404, 500, 502])
def test_retry_after_means_something_on_429_and_503_alone(status: int) -> None:
    outcome = Outcome(status, classify_status(status), headers={"retry-after": "9999"})
    assert decide((5.0,), outcome, 0).due_in <= 5.5


@pytest.mark.parametrize("value", ["", "soon", "-5", "1e3", "9" * 400, "Wed, 99 Foo 2030", "\u0665"])
def test_a_retry_after_that_makes_no_sense_is_ignored(value: str) -> None:
    outcome = Outcome(503, ErrorClass.HTTP_5XX, headers={"retry-after": value})
    assert decide((5.0,), outcome, 0).due_in <= 5.5


@given(schedules, st.integers(0, 20))
def test_410_disables_the_endpoint_at_once(schedule: tuple[float, ...], step: int) -> None:
    decision = decide(schedule, Outcome(410, ErrorClass.HTTP_4XX), step)
    assert decision == Decision(State.FAILED, step=step, reason="gone", disable="gone")


@given(schedules, st.integers(0, 20), seeds)
def test_a_fault_of_ours_burns_no_step_and_is_never_the_end(
    schedule: tuple[float, ...], step: int, seed: int
) -> None:
    decision = decide(schedule, Outcome(None, ErrorClass.INTERNAL), step, seed)
    assert (decision.state, decision.step, decision.disable) == (State.DUE, step, None)
    assert 5 <= decision.due_in <= 5.5


@given(schedules, failing, st.integers(0, 11), seeds)
def test_the_same_chance_makes_the_same_decision(
    schedule: tuple[float, ...], outcome: Outcome, step: int, seed: int
) -> None:
    assert decide(schedule, outcome, step, seed) == decide(schedule, outcome, step, seed)


@pytest.mark.parametrize("status", [400, 410, 429, 500, 503])
def test_a_receiver_may_end_the_attempts_at_one_event(status: int) -> None:
    headers = {"webhook-delivery": "abort-message", "retry-after": "60"}
    decision = decide((5.0, 5.0), Outcome(status, classify_status(status), headers=headers), 0)
    assert decision == Decision(State.FAILED, step=0, reason="aborted_by_receiver")


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [(200, State.DONE, None), (204, State.DONE, None), (500, State.FAILED, "disabled_by_receiver")],
)
def test_a_receiver_may_end_everything(status: int, state: State, reason: str | None) -> None:
    error = None if status < 300 else classify_status(status)
    decision = decide((5.0,), Outcome(status, error, headers={"webhook-delivery": "disable"}), 0)
    assert decision == Decision(state, step=0, reason=reason, disable="by_receiver")


def test_what_a_receiver_says_beside_a_success_or_misspelt_changes_nothing() -> None:
    assert (
        decide((5.0,), Outcome(200, None, headers={"webhook-delivery": "abort-message"}), 0).state
        is State.DONE
    )
    odd = Outcome(500, ErrorClass.HTTP_5XX, headers={"webhook-delivery": "please stop"})
    assert decide((5.0,), odd, 0).state is State.DUE


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (None, None),
        ({"strategy": "schedule", "delays": [0, 5, 300]}, (0.0, 5.0, 300.0)),
        ({"strategy": "schedule", "delays": []}, ()),
        ({"strategy": "fixed", "initial_seconds": 30, "max_retries": 3}, (30.0, 30.0, 30.0)),
        ({"strategy": "linear", "initial_seconds": 10, "max_retries": 3}, (10.0, 20.0, 30.0)),
        ({"strategy": "exponential", "initial_seconds": 2, "max_retries": 4}, (2.0, 4.0, 8.0, 16.0)),
        (
            {"strategy": "exponential", "initial_seconds": 2, "max_retries": 4, "max_seconds": 7},
            (2.0, 4.0, 7.0, 7.0),
        ),
        ({"strategy": "linear", "initial_seconds": 5, "max_retries": 2, "max_seconds": None}, (5.0, 10.0)),
        ({"strategy": "fixed", "initial_seconds": 5, "max_retries": 0}, ()),
    ],
    ids=["absent", "schedule", "none", "fixed", "linear", "exponential", "capped", "no cap", "no retries"],
)
def test_a_policy_is_a_list_of_delays(
    policy: dict[str, Any] | None, delays: tuple[float, ...] | None
) -> None:
    assert schedule_of(policy) == delays


@given(
    st.sampled_from(["exponential", "linear", "fixed"]),
    st.floats(0, MAX_DELAY),
    st.integers(0, MAX_RETRIES),
    st.none() | st.floats(0.1, MAX_DELAY),
)
def test_no_policy_waits_longer_than_a_week_or_than_it_says(
    strategy: str, first: float, retries: int, most: float | None
) -> None:
    policy = {"strategy": strategy, "initial_seconds": first, "max_retries": retries, "max_seconds": most}
    delays = schedule_of(policy)
    assert delays is not None
    assert len(delays) == retries
    assert all(0 <= delay <= (most or MAX_DELAY) for delay in delays)
    assert list(delays) == sorted(delays)


@pytest.mark.parametrize(
    ("endpoint", "by_type", "expected"),
    [
        (None, {}, (1.0, 2.0)),
        (None, {"a.b": (3.0,)}, (3.0,)),
        (None, {"a.b": ()}, ()),
        (None, {"a.c": (3.0,), "a": (4.0,)}, (1.0, 2.0)),
        ((5.0,), {}, (5.0,)),
        ((5.0,), {"a.b": (3.0, 4.0)}, (5.0,)),
        ((), {"a.b": (3.0,)}, ()),
    ],
    ids=[
        "default",
        "type",
        "type without retries",
        "other types",
        "endpoint",
        "both",
        "endpoint without retries",
    ],
)
def test_the_most_specific_schedule_holds_as_a_whole(
    endpoint: tuple[float, ...] | None, by_type: dict[str, tuple[float, ...]], expected: tuple[float, ...]
) -> None:
    assert Schedules((1.0, 2.0), by_type).of(endpoint, "a.b") == expected


def test_the_default_schedule_is_the_one_that_is_promised() -> None:
    promised = [0, 5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600]
    assert [0.0, *load_settings({}).webhook_retry_schedule] == promised
