from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.webhooks.replay.pacing import MAX_RATE, STEP, allowance, pause, refill

rates = st.floats(min_value=0.01, max_value=MAX_RATE)


@pytest.mark.parametrize(
    ("tokens", "rate", "elapsed", "expected"),
    [(0, 100, 0.5, 50), (10, 100, 0.1, 20), (0, 100, 3600, 100), (0, 0.5, 3600, 2), (5, 100, -1, 5)],
)
def test_tokens_grow_with_time_up_to_a_second_of_the_rate(
    tokens: float, rate: float, elapsed: float, expected: float
) -> None:
    assert refill(tokens, rate, elapsed) == pytest.approx(expected)


def test_a_step_is_bounded_and_whole() -> None:
    assert [allowance(one) for one in (0, 0.99, 1, 7.9, 10_000)] == [0, 0, 1, 7, STEP]


@pytest.mark.parametrize(
    ("tokens", "rate", "expected"),
    [(0, 100, 0.25), (25, 100, 0), (0, 1, 1), (0.5, 0.1, 5), (0, 10_000, 0.05)],
)
def test_the_pause_lasts_until_a_step_is_worth_it(tokens: float, rate: float, expected: float) -> None:
    assert pause(tokens, rate) == pytest.approx(expected)


@given(rates, st.lists(st.floats(min_value=0, max_value=5), max_size=50))
def test_however_long_it_waits_no_more_goes_than_the_rate_and_a_second_of_it(
    rate: float, late: list[float]
) -> None:
    tokens, sent, time = 0.0, 0, 0.0
    for extra in late:
        wait = pause(tokens, rate) + extra
        time += wait
        tokens = refill(tokens, rate, wait)
        step = allowance(tokens)
        assert step >= 1 or tokens == pytest.approx(1)  # it never waits for nothing
        sent += step
        tokens -= step
    assert sent <= rate * time + max(2.0, rate) + 1e-6
