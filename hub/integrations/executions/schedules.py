"""When schedules start: cron expressions in a time zone, or intervals. Pure.

Moments that were missed while nobody looked are started once together, not one by one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from hub.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_FIELDS = 5


def check_times(given: Mapping[str, Any]) -> None:
    """Judge when a schedule starts.

    Args:
        given: `cron`, `timezone`, `every_seconds`.

    Raises:
        Invalid: with one field for every fault.
    """
    faults = []
    cron, every = given.get("cron"), given.get("every_seconds")
    if (cron is None) == (every is None):
        faults.append(FieldError("cron", "either this or every_seconds is needed, and not both"))
    try:
        zone = ZoneInfo(given["timezone"])
    except (KeyError, ValueError, OSError):
        faults.append(FieldError("timezone", "must be a time zone such as Europe/Berlin"))
        zone = ZoneInfo("UTC")
    if cron is not None:
        if len(cron.split()) != _FIELDS:
            faults.append(FieldError("cron", "must have five fields: minute hour day month weekday"))
        else:
            try:
                next(CronSim(cron, datetime.now(zone)))
            except (CronSimError, StopIteration):
                text = "is no cron expression that ever comes true, such as `30 2 * * *`"
                faults.append(FieldError("cron", text))
    if faults:
        raise Invalid.of(faults)


def next_time(given: Mapping[str, Any], after: datetime, last: datetime | None = None) -> datetime | None:
    """The first moment after another; None when there is none.

    Args:
        given: as for `check_times`, judged.
        after: timezone-aware.
        last: the moment of the last start: an interval goes on from there, without drifting.
    """
    if given["cron"] is None:
        every = timedelta(seconds=given["every_seconds"])
        if last is None:
            return after + every
        # The first multiple that is still to come.
        return last + every * max(1, (after - last) // every + 1)
    local = after.astimezone(ZoneInfo(given["timezone"]))
    try:
        return next(CronSim(given["cron"], local)).astimezone(UTC)
    except StopIteration:
        return None
