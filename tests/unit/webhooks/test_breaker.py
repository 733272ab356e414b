from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.webhooks.breaker import Breakers, pause

A, B = UUID(int=1), UUID(int=2)


def test_it_opens_at_the_tenth_call_of_which_seven_failed() -> None:
    breakers = Breakers()
    calls = [breakers.count(A, 1, n < 7, 100.0) for n in range(10)]
    assert calls == [False] * 9 + [True]


def test_nine_calls_that_all_failed_are_too_few() -> None:
    breakers = Breakers()
    assert not any(breakers.count(A, 1, 1, 100.0) for _ in range(9))
    assert breakers.count(A, 1, 1, 100.0)


def test_six_failures_of_ten_do_not_open_it() -> None:
    breakers = Breakers()
    assert not any(breakers.count(A, 1, n < 6, 100.0) for n in range(10))


def test_calls_of_more_than_a_minute_ago_do_not_count() -> None:
    breakers = Breakers()
    assert not breakers.count(A, 9, 9, 100.0)
    assert not breakers.count(A, 1, 1, 161.0)
    assert not breakers.count(A, 8, 8, 170.0)
    assert breakers.count(A, 1, 1, 171.0)


def test_successes_before_the_first_failure_do_not_delay_the_verdict() -> None:
    breakers = Breakers()
    assert not breakers.count(A, 10_000, 0, 100.0)
    assert breakers.count(A, 10, 10, 101.0)


def test_endpoints_do_not_answer_for_each_other() -> None:
    breakers = Breakers()
    assert not breakers.count(A, 9, 9, 100.0)
    assert not breakers.count(B, 9, 9, 100.0)
    assert breakers.count(A, 1, 1, 100.0)


def test_after_it_opened_it_counts_anew() -> None:
    breakers = Breakers()
    assert breakers.count(A, 10, 10, 100.0)
    assert not breakers.count(A, 9, 9, 101.0)
    assert breakers.count(A, 1, 1, 102.0)


@given(st.lists(st.tuples(st.integers(1, 20), st.floats(0, 1), st.floats(0, 30)), min_size=1, max_size=40))
def test_it_never_opens_without_ten_calls_and_seven_failures_in_a_minute(
    batches: list[tuple[int, float, float]],
) -> None:
    breakers = Breakers()
    now = 1000.0
    past: list[tuple[float, int, int]] = []
    for calls, share, gap in batches:
        now += gap
        failed = round(calls * share)
        past.append((now, calls, failed))
        if breakers.count(A, calls, failed, now):
            # A slot holds five seconds: its oldest call may be that much older than the window.
            recent = [one for one in past if one[0] >= now - 65]
            assert sum(one[1] for one in recent) >= 10
            assert sum(one[2] for one in recent) >= 7
            past.clear()


@pytest.mark.parametrize(
    ("times", "seconds"), [(0, 15), (1, 30), (2, 60), (5, 480), (6, 600), (30, 600), (10**6, 600)]
)
def test_the_pause_doubles_up_to_ten_minutes(times: int, seconds: float) -> None:
    assert pause(times) == seconds
