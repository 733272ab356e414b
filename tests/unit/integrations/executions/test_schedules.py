from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub.core.errors import Invalid
from hub.integrations.executions.schedules import check_times, next_time


def cron(text: str, zone: str = "UTC") -> dict[str, Any]:
    return {"cron": text, "timezone": zone, "every_seconds": None}


def moments(given: dict[str, Any], after: datetime, count: int) -> list[str]:
    """The next moments, in the schedule's own time."""
    found = []
    for _ in range(count):
        at = next_time(given, after)
        assert at is not None
        found.append(at.astimezone(ZoneInfo(given["timezone"])).strftime("%m-%d %H:%M%z"))
        after = at
    return found


def test_a_cron_expression_is_meant_in_its_time_zone() -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert moments(cron("30 2 * * *", "Europe/Berlin"), after, 1) == ["01-01 02:30+0100"]
    assert moments(cron("30 2 * * *", "America/New_York"), after, 1) == ["01-01 02:30-0500"]


def test_a_moment_that_the_clock_skips_comes_right_after() -> None:
    # On 29 March 2026 the clocks of Berlin go from 02:00 to 03:00.
    after = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert moments(cron("30 2 * * *", "Europe/Berlin"), after, 2) == ["03-29 03:00+0200", "03-30 02:30+0200"]


def test_a_moment_that_comes_twice_is_started_once() -> None:
    # On 25 October 2026 they go from 03:00 back to 02:00.
    after = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert moments(cron("30 2 * * *", "Europe/Berlin"), after, 2) == ["10-25 02:30+0200", "10-26 02:30+0100"]


def test_every_hour_is_every_hour_also_when_clocks_change() -> None:
    given = cron("0 * * * *", "Europe/Berlin")
    for day in (datetime(2026, 3, 28, 23, 30, tzinfo=UTC), datetime(2026, 10, 24, 23, 30, tzinfo=UTC)):
        at, found = day, []
        for _ in range(5):
            following = next_time(given, at)
            assert following is not None
            found.append(following)
            at = following
        assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(hours=1)}


def test_missed_moments_of_a_cron_expression_collapse() -> None:
    after = datetime(2026, 1, 10, 12, tzinfo=UTC)
    last = datetime(2026, 1, 1, tzinfo=UTC)
    assert next_time(cron("0 0 * * *"), after, last) == datetime(2026, 1, 11, tzinfo=UTC)


def test_an_interval_goes_on_from_its_own_moments() -> None:
    given = {"cron": None, "timezone": "UTC", "every_seconds": 60.0}
    last = datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)
    assert next_time(given, last) == last + timedelta(seconds=60)
    for late, steps in ((0, 1), (1, 1), (59.9, 1), (60, 2), (61, 2), (601, 11)):
        assert next_time(given, last + timedelta(seconds=late), last) == last + timedelta(
            seconds=60 * steps
        ), late


def test_every_fault_is_told() -> None:
    with pytest.raises(Invalid) as caught:
        check_times({"cron": "never", "every_seconds": 3, "timezone": "Nowhere"})
    assert sorted(fault.path for fault in caught.value.fields) == ["cron", "cron", "timezone"]
