from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hub.transforms.dates import CannotReadDateError, make_date_format


@pytest.mark.parametrize(
    ("value", "source", "target", "zone", "expected"),
    [
        ("2030-01-02T03:04:05Z", "iso", "iso", "UTC", "2030-01-02T03:04:05Z"),
        ("2030-01-02T03:04:05+02:00", "iso", "iso", "UTC", "2030-01-02T01:04:05Z"),
        ("2030-01-02", "iso", "iso", "UTC", "2030-01-02T00:00:00Z"),
        ("2030-01-02T03:04:05.25", "iso", "unix_ms", "UTC", 1893553445250),
        ("1969-12-31T23:59:59.5Z", "iso", "unix", "UTC", -1),
        (1893553445, "unix", "date", "UTC", "2030-01-02"),
        (1893553445250, "unix_ms", "iso", "UTC", "2030-01-02T03:04:05.250000Z"),
        ("2030-06-30T23:30:00Z", "iso", "date", "Europe/Berlin", "2030-07-01"),
        ("31/12/2030 17:05", "%d/%m/%Y %H:%M", "iso", "UTC", "2030-12-31T17:05:00Z"),
        ("Dec 31 2030 -0500", "%b %d %Y %z", "iso", "UTC", "2030-12-31T05:00:00Z"),
        ("2030-01-02T00:04:05Z", "iso", "%A %a %B %b %y %j %I%p %f%%", "UTC", "Wednesday Wed January Jan 30 002 12AM 000000%"),
        ("2030-01-02T03:04:05Z", "iso", "%Y-%m-%dT%H:%M:%S%z", "America/New_York", "2030-01-01T22:04:05-0500"),
        ("2030-01-02T03:04:05Z", "iso", "%H:%M%z", "Asia/Kolkata", "08:34+0530"),
        ("0001-01-02", "iso", "%Y", "UTC", "0001"),
    ],
    ids=str,
)  # fmt: skip
def test_a_time_is_written_in_another_way(
    value: Any, source: str, target: str, zone: str, expected: str | int
) -> None:
    assert make_date_format(source, target, zone).convert(value) == expected


@pytest.mark.parametrize(
    ("value", "source"),
    [
        ("", "iso"), ("noon", "iso"), (5, "iso"), (None, "iso"), ("2030-02-30", "iso"), ("1" * 1000, "iso"),
        ("5", "unix"), (False, "unix"), (1e300, "unix"), (float("nan"), "unix"), (10**5000, "unix_ms"), ("2030", "%H"),
    ],
    ids=lambda value: str(value)[:20] if not isinstance(value, int) else "number",
)  # fmt: skip
def test_what_is_no_time_is_refused(value: Any, source: str) -> None:
    with pytest.raises(CannotReadDateError):
        make_date_format(source, "iso", "UTC").convert(value)


def test_a_time_at_the_edge_of_the_calendar_is_refused_where_the_zone_would_leave_it() -> None:
    with pytest.raises(CannotReadDateError):
        make_date_format("iso", "date", "Asia/Tokyo").convert("9999-12-31T23:00:00Z")


def test_patterns_agree_with_strftime() -> None:
    moment = datetime(2031, 11, 5, 13, 7, 9, 42, tzinfo=UTC)
    pattern = "%Y %y %m %d %H %I %M %S %f %j %z %p %A %a %B %b %%"
    assert make_date_format("iso", pattern, "UTC").convert(moment.isoformat()) == moment.strftime(pattern)
