"""A deliver worker that kills itself, all its processes at once, at a named point: `celery -A tests.support.fatal_worker`.

`FATAL_POINT` names the point, `FATAL_AT` says at which time of passing it (from 1). Everything else is the hub's own
worker.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from hub.db.lane_ledger import LaneLedger
from hub.webhooks.delivery import DeliverySource
from hub.webhooks.fan_out import FanOut
from hub.webhooks.sending import DeliveryRunner
from workers.app import app

__all__ = ["POINTS", "app"]

#: Where it may die.
POINTS = (
    "amid a fan-out", "after a claim", "after sending", "before a completion", "before its commit", "after a completion",
)  # fmt: skip
_POINT = os.environ.get("FATAL_POINT", "")
_AT = int(os.environ.get("FATAL_AT", "1"))
_passed = itertools.count(1)


def _die() -> None:
    if next(_passed) >= _AT:
        # The worker has a session of its own: main process and pool.
        os.killpg(0, signal.SIGKILL)


def _fan_out(run: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*args: Any, **options: Any) -> Any:
        found = run(*args, **options)
        if found[1]:
            _die()
        return found

    return dying


def _claim(claim: Callable[..., Any]) -> Callable[..., Any]:
    def dying(self: DeliverySource, limit: int) -> Any:
        found = claim(self, limit)
        if found[0]:
            _die()
        return found

    return dying


def _poll(poll: Callable[..., Any]) -> Callable[..., Any]:
    def dying(self: DeliveryRunner, timeout: float) -> Any:
        results = poll(self, timeout)
        if results:
            _die()
        return results

    return dying


def _complete(complete: Callable[..., Any], *, first: bool) -> Callable[..., Any]:
    def dying(*args: Any, **options: Any) -> Any:
        if first:
            _die()
        written = complete(*args, **options)
        if not first:
            _die()
        return written

    return dying


def _record(record: Callable[..., Any]) -> Callable[..., Any]:
    def recording(self: DeliverySource, results: Sequence[Any]) -> Callable[[], None]:
        write = record(self, results)

        def dying() -> None:
            write()
            _die()

        return dying

    return recording


if _POINT == "amid a fan-out":
    FanOut.run = _fan_out(FanOut.run)  # type: ignore[method-assign]
elif _POINT == "after a claim":
    DeliverySource.claim = _claim(DeliverySource.claim)  # type: ignore[method-assign]
elif _POINT == "after sending":
    DeliveryRunner.poll = _poll(DeliveryRunner.poll)  # type: ignore[method-assign]
elif _POINT in {"before a completion", "before its commit"}:
    LaneLedger.complete = _complete(LaneLedger.complete, first=_POINT == "before a completion")  # type: ignore[method-assign]
elif _POINT == "after a completion":
    DeliverySource.record = _record(DeliverySource.record)  # type: ignore[method-assign]
elif _POINT:
    raise ValueError(f"FATAL_POINT is none of {', '.join(POINTS)}: {_POINT!r}")
