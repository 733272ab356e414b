"""An execute worker that kills itself, all its processes at once, at a named point of an execution.

`celery -A tests.support.fatal_executor`; `FATAL_POINT` names the point, `FATAL_AT` says at which time of passing it
(from 1). Everything else is the hub's own worker.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from typing import Any

from hub.integrations.executions import pump
from hub.integrations.executions.pump import ExecutionSource
from hub.integrations.transports.http import RestTransport
from workers.app import app

__all__ = ["POINTS", "app"]

#: Where it may die.
POINTS = ("before the claim's commit", "after a claim", "before a call", "after a call", "after a record")
_POINT = os.environ.get("FATAL_POINT", "")
_AT = int(os.environ.get("FATAL_AT", "1"))
_passed = itertools.count(1)


def _die() -> None:
    if next(_passed) >= _AT:
        # The worker has a session of its own: main process and pool.
        os.killpg(0, signal.SIGKILL)


def _before(run: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*args: Any, **options: Any) -> Any:
        _die()
        return run(*args, **options)

    return dying


def _after(run: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*args: Any, **options: Any) -> Any:
        found = run(*args, **options)
        if found is None or found == () or found[0]:
            _die()
        return found

    return dying


def _record(record: Callable[..., Any]) -> Callable[..., Any]:
    def dying(self: Any, results: Any) -> Any:
        return _after(record(self, results))

    return dying


def _send(send: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*args: Any) -> Any:
        outcome = send(*args)
        _die()
        return outcome

    return dying


if _POINT == "before the claim's commit":
    pump.take_quota = _after(pump.take_quota)  # type: ignore[attr-defined]
elif _POINT == "after a claim":
    ExecutionSource.claim = _after(ExecutionSource.claim)  # type: ignore[method-assign]
elif _POINT == "before a call":
    RestTransport.send = _before(RestTransport.send)  # type: ignore[method-assign]
elif _POINT == "after a call":
    RestTransport.send = _send(RestTransport.send)  # type: ignore[method-assign]
elif _POINT == "after a record":
    ExecutionSource.record = _record(ExecutionSource.record)  # type: ignore[method-assign]
