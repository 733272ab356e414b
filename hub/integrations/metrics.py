"""Counting calls: what is added to one minute of one integration. Pure; `store` writes it, monitoring reads it."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

#: Upper bounds of the latency histogram, in milliseconds; slower calls count only in `calls`.
BOUNDS_MS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000)

Source = Literal["call", "check"]


def column_of(bound: int) -> str:
    """The column that counts calls up to a bound."""
    return f"le_{bound}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One call.

    Args:
        tenant_id: whose.
        integration_id: of what.
        at: when it began.
        ok: it succeeded.
        latency_ms: how long it took.
        size: bytes of the answer.
    """

    tenant_id: UUID
    integration_id: UUID
    at: datetime
    ok: bool
    latency_ms: float
    size: int


@dataclass(slots=True)
class Bucket:
    """The sums of one minute of one integration."""

    tenant_id: UUID
    integration_id: UUID
    bucket: datetime
    source: Source
    calls: int = 0
    failed: int = 0
    latency_ms_sum: float = 0.0
    bytes: int = 0
    within: list[int] = field(default_factory=lambda: [0] * len(BOUNDS_MS))


def fold(samples: Iterable[Sample], source: Source) -> list[Bucket]:
    """Sum calls up by integration and minute, ordered so that two writers lock rows in one order."""
    found: dict[tuple[UUID, datetime], Bucket] = {}
    for sample in samples:
        minute = sample.at.replace(second=0, microsecond=0)
        key = (sample.integration_id, minute)
        bucket = found.get(key)
        if bucket is None:
            bucket = found[key] = Bucket(sample.tenant_id, sample.integration_id, minute, source)
        bucket.calls += 1
        bucket.failed += not sample.ok
        bucket.latency_ms_sum += sample.latency_ms
        bucket.bytes += sample.size
        for index in range(bisect_left(BOUNDS_MS, sample.latency_ms), len(BOUNDS_MS)):
            bucket.within[index] += 1
    return [found[key] for key in sorted(found)]
