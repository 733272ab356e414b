from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hub.integrations.executions.quota import _rooms, _until_next_month, _until_tomorrow, _wait
from hub.integrations.executions.quota_store import Used
from hub.integrations.registry.policies import Quota

NOW = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
HOUR = 3601.0


def waits(quota: Quota, taken: int, *, calls: int = 0, size: int = 0) -> list[float | None]:
    """Of the calls that were taken just now, when so many are counted, those among them."""
    rooms = _rooms(quota, Used(calls, size, calls, size), taken, NOW)
    return [_wait(rooms, place) for place in range(taken)]


@pytest.mark.parametrize(
    ("used_before", "taken", "within"), [(0, 3, 3), (7, 3, 3), (8, 3, 2), (9, 3, 1), (10, 3, 0), (50, 3, 0)]
)
def test_calls_are_within_the_quota_to_the_last_one(used_before: int, taken: int, within: int) -> None:
    found = waits(Quota(calls_per_day=10), taken, calls=used_before + taken)
    assert found == [None] * within + [HOUR] * (taken - within)


def test_without_a_quota_everything_is_within_it() -> None:
    assert waits(Quota(), 5, calls=10**9, size=10**15) == [None] * 5


def test_bytes_stop_all_the_calls_after_them() -> None:
    quota = Quota(bytes_per_month=100)
    assert waits(quota, 5, size=99) == [None] * 5
    assert waits(quota, 5, size=100) == [HOUR] * 5


def test_each_call_waits_for_the_quotas_that_it_does_not_fit() -> None:
    early = datetime(2026, 11, 1, 23, 0, tzinfo=UTC)
    day, month = _until_tomorrow(early), _until_next_month(early)
    # One fits today, two more fit this month.
    rooms = _rooms(Quota(calls_per_day=10, calls_per_month=20), Used(13, 0, 21, 0), 4, early)
    assert [_wait(rooms, place) for place in range(4)] == [None, day, day, month]


def test_days_and_months_are_those_of_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert _until_tomorrow(elsewhere) == _until_tomorrow(NOW) == HOUR
    assert _until_next_month(elsewhere) == _until_next_month(NOW) == HOUR
    december = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    assert _until_next_month(december) == HOUR
    leap = datetime(2028, 2, 29, 23, 0, tzinfo=UTC)
    assert _until_next_month(leap) == HOUR
