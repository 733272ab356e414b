"""The chain that every call goes through, link by link, each one timed.

    load → access → flow → request transform → schema → prepare → cache → quota → limits → authenticate → transport
         → error mapping → give up token → heed → response transform → cache fill

The cache stands before quota and limits, so that a kept answer takes nothing of the service's patience, and the limits
right before the call, so that what the service counts is what was admitted.

Promises: `run` never raises; a secret never leaves it but towards the service. What follows from its end is decided by
`retry` and written by the pump.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from hub.db.states import State
from hub.integrations.pipeline import authenticating, caching, calling, gate, limiting, shaping
from hub.integrations.pipeline.call import Call, Context, Stopped, Tools
from hub.net.outcome import ErrorClass, classify_status
from hub.transforms import acting_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hub.integrations.pipeline.call import Link
    from hub.integrations.pipeline.mapping import Action
    from hub.integrations.target import Target
    from hub.integrations.transports.interface import Prepared
    from hub.net.outcome import Outcome

log = logging.getLogger(__name__)

#: Every link before the call, by name.
BEFORE: tuple[tuple[str, Link], ...] = (
    ("load", gate.load),
    ("access", gate.access),
    ("flow", shaping.flow),
    ("request_transform", shaping.request_transform),
    ("schema", shaping.schema),
    ("prepare", shaping.prepare),
    ("cache", caching.look_up),
    ("quota", gate.quota),
    ("limits", limiting.admit),
    ("authenticate", authenticating.authenticate),
)
#: Every link after it.
AFTER: tuple[tuple[str, Link], ...] = (
    ("error_mapping", calling.error_mapping),
    ("give_up_token", authenticating.give_up_token),
    ("heed", limiting.heed),
    ("response_transform", shaping.response_transform),
    ("cache_fill", caching.fill),
)
#: Those of them whose failure takes nothing from the answer.
_ON_THE_SIDE = frozenset({"heed", "cache_fill"})
#: What `mapping` makes of these statuses when no rule holds.
_REFINED = {
    401: ErrorClass.UNAUTHORIZED,
    407: ErrorClass.UNAUTHORIZED,
    429: ErrorClass.RATE_LIMITED,
}
#: What `accept` judges of an input: no I/O, nothing used up.
_AT_THE_DOOR = ("access", "request_transform", "schema", "prepare")


@dataclass(frozen=True, slots=True)
class Made:
    """A call was made, or its answer was kept from an earlier one.

    Args:
        outcome: what it brought, redacted.
        idempotent: it may be repeated without harm.
        action: what the integration's rules say is to follow.
        cached: nothing left the hub.
        prepared: what was sent.
        timings: milliseconds by link.
        received: bytes of the answer, before its transformation.
        unknown: a fault of ours hides what became of a request that had left.
    """

    outcome: Outcome
    idempotent: bool
    action: Action | None = None
    cached: bool = False
    prepared: Prepared | None = None
    timings: Mapping[str, float] | None = None
    received: int = 0
    unknown: bool = False


def run(
    target: Target | None,
    operation: str,
    given: Any,
    context: Context,
    tools: Tools,
    begin: Callable[[Call], None] | None = None,
) -> Made | Stopped:
    """Make one attempt.

    Args:
        target: the integration; None when it was deleted.
        operation: its name.
        given: the input.
        context: who asks.
        tools: of this process.
        begin: called right before the call.
    """
    if target is None:
        return Stopped(State.FAILED, "integration_deleted", "The integration was deleted.")
    call = Call(target, operation, given, context)
    with acting_for(target.tenant_id), _releasing(call):
        try:
            ended = _before(call, tools)
            if ended is not None:
                return ended
            if not call.cached and begin is not None:
                begin(call)
        except Exception as error:  # noqa: BLE001 - without an end it would be due again at once, for ever
            # Nothing was sent, so repeating it is harmless.
            return Made(calling.internal(call, error), idempotent=True)
        if not call.cached:
            _send(call, tools)
    assert call.outcome is not None
    idempotent = call.prepared is None or call.prepared.idempotent
    return Made(
        call.outcome,
        idempotent,
        call.action,
        call.cached,
        call.prepared,
        call.timings,
        call.received,
        call.unknown,
    )


def judge(target: Target, operation: str, given: Any, context: Context, tools: Tools) -> Call | Stopped:
    """What can be said of an input before it is accepted: its transformation, its schema, what would be sent."""
    call = Call(target, operation, given, context)
    call.form = target.operations.get(operation, target.free)
    with acting_for(target.tenant_id):
        for name, link in BEFORE:
            if name in _AT_THE_DOOR and (ended := link(call, tools)) is not None:
                return ended
    return call


def dry_run(
    target: Target, operation: str, given: Any, context: Context, tools: Tools
) -> list[dict[str, Any]]:
    """What each link would do, up to the call, which is not made. Nothing is used up.

    Returns:
        For each link its `link`, `ms`, `result` (`passed`, or the reason why it ends the call), and `note`.
    """
    call = Call(target, operation, given, context)
    shown: list[dict[str, Any]] = []
    for name, link in BEFORE:
        begun = perf_counter()
        with acting_for(target.tenant_id):
            ended = link(call, tools)
        entry: dict[str, Any] = {
            "link": name,
            "ms": round((perf_counter() - begun) * 1000, 3),
            "result": "passed",
        }
        if ended is not None:
            entry |= {"result": ended.reason, "message": ended.message}
        if name in call.notes:
            entry["note"] = call.notes[name]
        shown.append(entry)
        if ended is not None:
            break
    return shown


def probe(target: Target | None, context: Context, tools: Tools) -> Made | Stopped:
    """Prove that a service is there and takes the credentials, changing nothing: a health check, or a test.

    The operation that the definition's health check names, or the transport's own probe. A whole answer of a status
    that the check expects is a good one.
    """
    if target is None:
        return Stopped(State.FAILED, "integration_deleted", "The integration was deleted.")
    context = replace(context, fresh=True)
    check = target.health_check or {}
    timings: dict[str, float] = {}
    begun = perf_counter()
    if check.get("operation") is not None:
        made = run(target, check["operation"], check.get("input", {}), context, tools)
        if isinstance(made, Stopped):
            return made
        return _as_expected(made, check)
    if check and target.transport.free_operation == "request":
        given = {"method": check.get("method", "GET"), "path": check.get("path", "/")}
        made = run(target, "request", given, context, tools)
        return made if isinstance(made, Stopped) else _as_expected(made, check)
    call = Call(target, "", None, context)
    for link in (gate.load, authenticating.authenticate):
        ended = link(call, tools)
        if ended is not None:
            return ended
    calling.probe(call, tools)
    timings["transport"] = (perf_counter() - begun) * 1000
    assert call.outcome is not None
    calling.error_mapping(call, tools)
    return Made(call.outcome, idempotent=True, action=call.action, timings=timings)


def _as_expected(made: Made, check: Mapping[str, Any]) -> Made:
    """Forgive what the status alone decided.

    An answer that broke off, or that its own words or the integration's rules call a failure, stays one.
    """
    outcome = made.outcome
    status = outcome.status
    if status is not None and status in (check.get("expected_statuses") or ()):
        by_status = {classify_status(status), _REFINED.get(status)} - {None}
        if outcome.error_class in by_status:
            outcome.error_class, outcome.message = None, ""
    return made


def _before(call: Call, tools: Tools) -> Stopped | None:
    timings = call.timings
    begun = perf_counter()
    for name, link in BEFORE:
        ended = link(call, tools)
        now = perf_counter()
        timings[name] = (now - begun) * 1000
        begun = now
        if ended is not None:
            return replace(ended, timings=timings)
        if call.cached:
            return None
    return None


def _send(call: Call, tools: Tools) -> None:
    begun = perf_counter()
    calling.transport(call, tools)
    now = perf_counter()
    call.timings["transport"] = (now - begun) * 1000
    for name, link in AFTER:
        begun = now
        try:
            link(call, tools)
        except Exception as error:  # noqa: BLE001 - the answer is there and must be recorded
            if name in _ON_THE_SIDE:
                log.warning("The link %s failed (%s); the answer is as it was.", name, type(error).__name__)
                continue
            peer = None if call.outcome is None else call.outcome.peer
            call.outcome, call.unknown = calling.internal(call, error), True
            call.outcome.peer = peer
        now = perf_counter()
        call.timings[name] = (now - begun) * 1000


@contextmanager
def _releasing(call: Call) -> Iterator[None]:
    """Give back what the call holds, however it ends."""
    try:
        yield
    finally:
        for release in call.releases:
            _quietly(release)


def _quietly(release: Callable[[], object]) -> None:
    try:
        release()
    except Exception as error:  # noqa: BLE001 - what is held ends by its own lease
        log.warning("Something held for a call was not given back (%s).", type(error).__name__)
