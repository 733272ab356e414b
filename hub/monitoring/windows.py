"""Rolling numbers from the counters of whole minutes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.integrations.metrics import BOUNDS_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Name and length of each window, seconds.
WINDOWS = {"5m": 300, "1h": 3600, "24h": 86_400}


@dataclass(frozen=True, slots=True)
class Numbers:
    """The calls of one window; rates are None when there was no call.

    Args:
        calls: how many were made.
        failed: how many of them failed.
        success_rate: 0 to 1.
        average_latency_ms: mean time of a call.
        p95_latency_ms: 95 % of the calls took at most so long; estimated within the bounds of the histogram.
        throughput_per_second: calls per second over the window.
        bytes: of answers.
    """

    calls: int = 0
    failed: int = 0
    success_rate: float | None = None
    average_latency_ms: float | None = None
    p95_latency_ms: float | None = None
    throughput_per_second: float = 0.0
    bytes: int = 0


def summarise(
    calls: int, failed: int, latency_ms_sum: float, size: int, within: Sequence[int], seconds: float
) -> Numbers:
    """Make the numbers of one window.

    Args:
        calls: counted.
        failed: counted.
        latency_ms_sum: of all calls.
        size: bytes of all answers.
        within: calls up to each of `BOUNDS_MS`.
        seconds: length of the window.
    """
    if not calls:
        return Numbers()
    return Numbers(
        calls=calls,
        failed=failed,
        success_rate=round((calls - failed) / calls, 6),
        average_latency_ms=round(latency_ms_sum / calls, 3),
        p95_latency_ms=quantile(within, calls, 0.95),
        throughput_per_second=round(calls / seconds, 6),
        bytes=size,
    )


def quantile(within: Sequence[int], calls: int, share: float) -> float:
    """A quantile of latencies, in milliseconds: exact to its bucket, linear inside; the last bound when beyond it."""
    wanted = share * calls
    below, lower = 0, 0.0
    for bound, count in zip(BOUNDS_MS, within, strict=True):
        if count >= wanted:
            inside = count - below
            return round(lower + (bound - lower) * ((wanted - below) / inside if inside else 1.0), 3)
        below, lower = count, float(bound)
    return float(BOUNDS_MS[-1])
