from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hub.core.ids import child_uuid, floor_uuid, new_uuid
from hub.webhooks.replay.pages import before, bounds, fraction_of_time
from hub.webhooks.replay.views import estimate

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
DAY: Any = SimpleNamespace(since=SINCE, until=SINCE + timedelta(days=1))


def at(moment: datetime) -> Any:
    return new_uuid(int(moment.timestamp() * 1000))


@pytest.mark.parametrize(
    ("offset", "inside"),
    [(-1, False), (0, True), (1, True), (86_399_999, True), (86_400_000, False)],
    ids=["before", "first", "second", "last", "end"],
)
def test_the_time_begins_with_its_first_millisecond_and_ends_before_its_last(
    offset: int, inside: bool
) -> None:
    low, high = bounds(DAY)
    event = at(SINCE + timedelta(milliseconds=offset))
    for one in (event, child_uuid(event)):
        assert (low < one < high) is inside
    assert low < floor_uuid(SINCE) < high


def test_before_is_the_very_next_id_down() -> None:
    one = new_uuid()
    assert before(one) < one
    assert one.int - before(one).int == 1


def test_the_fraction_follows_the_time() -> None:
    assert fraction_of_time(DAY, None) == 0
    for share in (0.0, 0.25, 0.5, 1.0):
        assert fraction_of_time(DAY, at(SINCE + share * timedelta(days=1))) == pytest.approx(share)
    assert fraction_of_time(DAY, at(SINCE + timedelta(days=9))) == 1


@pytest.mark.parametrize(
    ("selected", "fraction", "expected"),
    [(0, 0, None), (7, 0.001, None), (50, 0.25, 200), (7, 1, 7), (0, 1, 0)],
)
def test_the_estimate_waits_until_enough_was_seen(
    selected: int, fraction: float, expected: int | None
) -> None:
    assert estimate(selected, fraction) == expected
