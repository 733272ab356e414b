"""What one check says, and what that makes of an integration's health. Pure.

    unknown ──▶ healthy ◀──▶ degraded ──▶ unhealthy
                   ▲                          │
                   └──────────────────────────┘

A slow answer, or a failure that is not yet one of several in a row, is `degraded`; `unhealthy_after` failures in a
row are `unhealthy`; one good, fast answer is `healthy` again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.net.outcome import ErrorClass

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from hub.net.outcome import Outcome


class Status(StrEnum):
    """How an integration is."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check found.

    Args:
        ok: it was answered as expected.
        at: when the call began.
        latency_ms: how long the call took.
        error: a sentence; empty when it is fine.
    """

    ok: bool
    at: datetime
    latency_ms: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """When an integration counts as what.

    Args:
        degraded_after_ms: a slower answer is degraded.
        unhealthy_after: failures in a row until it is unhealthy.
    """

    degraded_after_ms: float
    unhealthy_after: int


@dataclass(frozen=True, slots=True)
class Health:
    """An integration's health after some check.

    Args:
        status: how it is.
        since: since when it is so.
        last_check_at: when the last check began.
        last_latency_ms: how long it took.
        consecutive_failures: failures in a row up to now.
        last_error: of the last check; None when it was fine.
    """

    status: Status
    since: datetime
    last_check_at: datetime
    last_latency_ms: float | None = None
    consecutive_failures: int = 0
    last_error: str | None = None


def judge(outcome: Outcome, at: datetime, expected: Collection[int]) -> Verdict:
    """What a call says.

    Args:
        outcome: what it brought.
        at: when it began.
        expected: the statuses that are fine; empty means any 2xx.
    """
    complete = outcome.error_class in {None, ErrorClass.HTTP_4XX, ErrorClass.HTTP_5XX, ErrorClass.REDIRECT}
    ok = complete and outcome.status in expected if expected else outcome.ok
    error = "" if ok else outcome.message or f"The answer was status {outcome.status}, which is not expected."
    return Verdict(ok, at, outcome.timings.total_ms, error)


def next_health(before: Health | None, verdict: Verdict, rules: Rules) -> Health:
    """The health after a check.

    Args:
        before: the health until now; None before the first check.
        verdict: what the check found.
        rules: the integration's.
    """
    failures = 0 if verdict.ok else (0 if before is None else before.consecutive_failures) + 1
    if failures >= rules.unhealthy_after:
        status = Status.UNHEALTHY
    elif failures or verdict.latency_ms > rules.degraded_after_ms:
        # Down is down until something answers: a lower limit must not look like a recovery.
        down = before is not None and before.status is Status.UNHEALTHY and failures > 0
        status = Status.UNHEALTHY if down else Status.DEGRADED
    else:
        status = Status.HEALTHY
    changed = before is None or before.status is not status
    return Health(
        status=status,
        since=verdict.at if changed or before is None else before.since,
        last_check_at=verdict.at,
        last_latency_ms=verdict.latency_ms,
        consecutive_failures=failures,
        last_error=verdict.error or None,
    )


def reason_of(health: Health, rules: Rules) -> str:
    """Why a health is what it is, in a sentence for the record of changes."""
    if health.last_error is not None:
        return health.last_error
    if health.status is Status.DEGRADED:
        return (
            f"It answered in {health.last_latency_ms:.0f} ms; up to {rules.degraded_after_ms:.0f} ms is fine."
        )
    return ""
