"""Quotas: how much of an integration may be used in a day and a month.

Calls are counted when executions are claimed, in the same transaction, so that no two workers share what is left and a
crash cannot forget a call. What ends without a call is given back, unless it is cancelled meanwhile. Bytes are known
only after a call, so they stop the calls after it.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from hub.integrations.executions import quota_store

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import date

    from sqlalchemy import Connection

    from hub.integrations.executions.job import Job
    from hub.integrations.registry.policies import Quota


def take_quota(conn: Connection, jobs: Sequence[Job], now: datetime) -> None:
    """Count the calls of integrations that have a quota; what is over it is marked. One statement, or none.

    Args:
        conn: the transaction of the claim.
        jobs: get `counted`, or `over_quota`, seconds until there is something again.
        now: the current time, UTC.
    """
    wanted: dict[uuid.UUID, list[Job]] = {}
    for job in jobs:
        if job.target is not None and job.target.has_quota and job.target.hold is None:
            wanted.setdefault(job.integration_id, []).append(job)
    if not wanted:
        return
    day, month = _begin(now)
    used = quota_store.add_calls(conn, {one: len(mine) for one, mine in wanted.items()}, day, month)
    back: dict[uuid.UUID, int] = {}
    for integration_id, mine in wanted.items():
        assert mine[0].target is not None
        rooms = _rooms(mine[0].target.quota, used[integration_id], len(mine), now)
        for place, job in enumerate(mine):
            job.over_quota = _wait(rooms, place)
            if job.over_quota is None:
                job.counted = day
            else:
                back[integration_id] = back.get(integration_id, 0) - 1
    if back:
        quota_store.add_calls(conn, back, day, month)


def count_usage(conn: Connection, used: Sequence[tuple[Job, int, int]]) -> None:
    """Count what came of calls, on the day on which they were counted: bytes, and calls that were not made after all.

    One statement, or none; one more for calls that were claimed before midnight.

    Args:
        conn: the transaction that records them.
        used: job, calls to give back (0 or -1), bytes.
    """
    by_day: dict[date, tuple[dict[uuid.UUID, int], dict[uuid.UUID, int]]] = {}
    for job, given_back, bytes_ in used:
        assert job.counted is not None
        calls, size = by_day.setdefault(job.counted, ({}, {}))
        calls[job.integration_id] = calls.get(job.integration_id, 0) + given_back
        size[job.integration_id] = size.get(job.integration_id, 0) + bytes_
    for day in sorted(by_day):
        calls, size = by_day[day]
        quota_store.add_calls(conn, calls, day, day.replace(day=1), size)


def over(conn: Connection, integration_id: uuid.UUID, quota: Quota, now: datetime) -> float | None:
    """Seconds until one more call is within a quota; None when it is now. Counts nothing."""
    used = quota_store.find_usage(conn, integration_id, *_begin(now))
    asked = used._replace(day_calls=used.day_calls + 1, month_calls=used.month_calls + 1)
    return _wait(_rooms(quota, asked, 1, now), 0)


def _rooms(quota: Quota, used: quota_store.Used, taken: int, now: datetime) -> list[tuple[int, float]]:
    """For each limit: how many of the calls just taken are within it, and seconds until it begins anew."""
    rooms = []
    for limit, count, own, until in (
        (quota.calls_per_day, used.day_calls, taken, _until_tomorrow(now)),
        (quota.calls_per_month, used.month_calls, taken, _until_next_month(now)),
        (quota.bytes_per_day, used.day_bytes, 0, _until_tomorrow(now)),
        (quota.bytes_per_month, used.month_bytes, 0, _until_next_month(now)),
    ):
        if limit is None:
            continue
        rooms.append((limit - (count - own) if own else (taken if count < limit else 0), until))
    return rooms


def _wait(rooms: Sequence[tuple[int, float]], place: int) -> float | None:
    """Seconds until there is room for the call in this place; None when there is."""
    return max((until for room, until in rooms if room <= place), default=None)


def _begin(now: datetime) -> tuple[date, date]:
    today = now.astimezone(UTC).date()
    return today, today.replace(day=1)


def _until_tomorrow(now: datetime) -> float:
    begins = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    return (begins - now).total_seconds() + 1


def _until_next_month(now: datetime) -> float:
    first = (now.astimezone(UTC).date().replace(day=28) + timedelta(days=4)).replace(day=1)
    return (datetime.combine(first, time(), UTC) - now).total_seconds() + 1
