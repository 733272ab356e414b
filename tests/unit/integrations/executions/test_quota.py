from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hub.integrations.executions.quota import _left, _until_next_month, _until_tomorrow
from hub.integrations.executions.quota_store import Used
from hub.integrations.registry.policies import Quota

NOW = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
HOUR = 3601.0


def left(quota: Quota, taken: int, *, calls: int = 0, size: int = 0) -> tuple[int, float]:
    """With so many calls counted, the ones that were taken just now among them."""
    return _left(quota, Used(calls, size, calls, size), taken, NOW)


@pytest.mark.parametrize(
    ("used_before", "taken", "within"), [(0, 3, 3), (7, 3, 3), (8, 3, 2), (9, 3, 1), (10, 3, 0), (50, 3, -40)]
)
def test_calls_are_within_the_quota_to_the_last_one(used_before: int, taken: int, within: int) -> None:
    found, seconds = left(Quota(calls_per_day=10), taken, calls=used_before + taken)
    assert found == within
    assert seconds == (0.0 if within == taken else HOUR)


def test_without_a_quota_everything_is_within_it() -> None:
    assert left(Quota(), 5, calls=10**9, size=10**15) == (5, 0.0)


def test_bytes_stop_all_the_calls_after_them() -> None:
    quota = Quota(bytes_per_month=100)
    assert left(quota, 5, size=99) == (5, 0.0)
    assert left(quota, 5, size=100) == (0, HOUR)


def test_the_narrowest_quota_decides_and_the_longest_wait_is_told() -> None:
    quota = Quota(calls_per_day=10, calls_per_month=4)
    early = datetime(2026, 11, 1, 23, 0, tzinfo=UTC)
    assert _left(quota, Used(12, 0, 5, 0), 2, early) == (0, _until_next_month(early))


def test_days_and_months_are_those_of_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert _until_tomorrow(elsewhere) == _until_tomorrow(NOW) == HOUR
    assert _until_next_month(elsewhere) == _until_next_month(NOW) == HOUR
    december = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    assert _until_next_month(december) == HOUR
    leap = datetime(2028, 2, 29, 23, 0, tzinfo=UTC)
    assert _until_next_month(leap) == HOUR
