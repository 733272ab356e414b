"""What people do with replays: ask for one, try it, stop it, let it go on; and one event again at once."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

from hub.core.errors import Conflict, FieldError, Invalid, NotFound
from hub.core.ids import Kind, floor_uuid, format_id, new_uuid, parse_id
from hub.db.states import FINISHED, State
from hub.transforms import compile_filter
from hub.webhooks.replay import audience, scan_store, store
from hub.webhooks.replay.counting import Tally, count
from hub.webhooks.replay.criteria import OF_DELIVERIES, Criteria
from hub.webhooks.replay.documents import Documents
from hub.webhooks.replay.pages import MISSING, Selected
from hub.webhooks.replay.requeue import requeue
from hub.webhooks.replay.scanning import scan_of

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from hub.access.principal import Principal
    from hub.webhooks.replay.audience import Audience, Member
    from hub.webhooks.replay.schemas import ReplayCreate

#: Jobs of a tenant that are not over.
MAX_OPEN = 20
#: Endpoints to which one event is sent again at once.
MAX_AT_ONCE = 1_000
#: How far back anything can be: retention is shorter.
_OLDEST = timedelta(days=3_650)
_DRY_RUN_SECONDS = 30


def read(caller: Principal, body: ReplayCreate, now: datetime) -> dict[str, Any]:
    """A request as the columns of a job.

    Args:
        caller: who asks.
        body: what for.
        now: ends its range of time, if nothing else does.

    Raises:
        Invalid: names the fields at fault.
    """
    faults: list[FieldError] = []
    until = now if body.until is None else min(body.until, now)
    if body.since >= until:
        faults.append(FieldError("since", "must be before until, and in the past"))
    narrows = body.event_types or body.labels or body.response or body.filter or body.states
    if body.kind == "filter" and not narrows:
        faults.append(
            FieldError(
                "kind", "filter needs states, event_types, labels, response or filter; without any use `all`"
            )
        )
    if body.kind == "failed" and "done" in (body.states or ()):
        faults.append(FieldError("states", "done is not for `failed`; use `filter`"))
    if body.kind not in OF_DELIVERIES:
        faults += [
            FieldError(name, f"is for `failed` and `filter`, not for `{body.kind}`")
            for name in ("states", "response")
            if getattr(body, name)
        ]
    for part in (
        lambda: body.filter is None or compile_filter(body.filter),
        lambda: body.endpoint is None or parse_id(Kind.ENDPOINT, body.endpoint, field="endpoint"),
    ):
        try:
            part()
        except Invalid as error:
            faults += error.fields
    if faults:
        raise Invalid.of(faults)
    return {
        "tenant_id": caller.tenant_id,
        "kind": body.kind,
        "endpoint_id": None if body.endpoint is None else parse_id(Kind.ENDPOINT, body.endpoint),
        "since": max(body.since, now - _OLDEST),
        "until": until,
        "states": sorted(set(body.states or ["failed"])) if body.kind in OF_DELIVERIES else [],
        "event_types": body.event_types,
        "labels": body.labels,
        "response": body.response,
        "filter": body.filter,
        "rate": body.rate,
    }


def create(conn: Connection, caller: Principal, values: dict[str, Any], *, oldest: datetime) -> Row[Any]:
    """Write a job, which was read; a worker takes it from there.

    Args:
        conn: a connection inside a transaction.
        caller: who asks.
        values: from `read`.
        oldest: the tenant's jobs that are over and were made before this moment are deleted.

    Raises:
        Invalid: there is no such endpoint.
        Conflict: the tenant has too many jobs that are not over.
    """
    _check_endpoint(audience.load(conn, caller.tenant_id, values["endpoint_id"]), values["endpoint_id"])
    if store.count_open(conn, caller.tenant_id) >= MAX_OPEN:
        raise Conflict(f"{MAX_OPEN} replays are not over yet; wait for one to end, or cancel one.")
    store.prune(conn, caller.tenant_id, older_than=floor_uuid(oldest))
    first = {"id": new_uuid(), "created_by": caller.key_id, "tokens": 1.0}
    return store.insert_replay(conn, values | first)


def try_out(conn: Connection, values: dict[str, Any]) -> Tally:
    """Count what a job would do.

    Args:
        conn: a connection inside a transaction of its own.
        values: from `read`.

    Raises:
        Invalid: there is no such endpoint.
    """
    store.limit_transaction(conn, seconds=_DRY_RUN_SECONDS, read_only=True)
    criteria = Criteria.of(SimpleNamespace(**values))
    found = audience.load(conn, criteria.tenant_id, criteria.endpoint_id)
    _check_endpoint(found, criteria.endpoint_id)
    return count(scan_of(conn, criteria, found), clock=time.monotonic)


def steer(
    conn: Connection, caller: Principal, replay_id: uuid.UUID, to: Literal["paused", "running", "cancelled"]
) -> Row[Any]:
    """Pause, resume or cancel a job; what it sent so far is not taken back. Doing it twice is doing it once.

    Raises:
        NotFound: the tenant has no such job.
        Conflict: it is over.
    """
    row = store.find_replay(conn, caller.tenant_id, replay_id, lock=True)
    if row.state == to or (to == "running" and row.state == "pending"):
        return row
    if row.state not in store.OPEN:
        raise Conflict(f"The replay is {row.state}: it cannot be changed any more.")
    if to == "running" and row.started_at is None:
        return store.set_state(conn, replay_id, "pending")
    return store.set_state(conn, replay_id, to)


def resend_event(
    conn: Connection, caller: Principal, message_id: uuid.UUID, endpoint_id: uuid.UUID | None
) -> list[uuid.UUID]:
    """Send one event again: to every endpoint that takes it now, or to one that takes it or has had it.

    Returns:
        The deliveries that are due now.

    Raises:
        NotFound: the tenant has no such event.
        Invalid: there is no such endpoint.
        Conflict: it was not fanned out yet or must not be sent, or the endpoint does not take it.
    """
    # Before anything is looked at: two of these must not make the same delivery.
    scan_store.lock_making(conn, caller.tenant_id)
    event = scan_store.describe_events(conn, caller.tenant_id, [message_id]).get(message_id)
    name = format_id(Kind.MESSAGE, message_id)
    if event is None:
        raise NotFound(f"There is no event {name}.")
    if not event.replayable:
        raise Conflict(f"The event {name} is on its way, or expired, cancelled or refused: see its state.")
    found = audience.load(conn, caller.tenant_id, endpoint_id)
    _check_endpoint(found, endpoint_id)
    takers = _takers(conn, event, found)
    candidates = set(takers) if endpoint_id is None else {endpoint_id}
    if len(candidates) > MAX_AT_ONCE:
        raise Conflict(
            f"The event goes to more than {MAX_AT_ONCE} endpoints: name one, or make a replay of its time."
        )
    present = scan_store.find_deliveries(conn, [(message_id, one) for one in candidates])
    selected = []
    for one in sorted(candidates):
        row = present.get((message_id, one))
        if row is None and one not in takers:
            raise Conflict("The endpoint does not take this event: see its event types, labels and filter.")
        selected.append(Selected(message_id, one, row and row.id, row.state if row else MISSING))
    return requeue(conn, caller.tenant_id, selected, allowed=[*FINISHED, State.HELD, State.DUE])


def _takers(conn: Connection, event: Row[Any], found: Audience) -> set[uuid.UUID]:
    members: list[Member] = [one for one in found.takers(event.source, event.type) if one.wants(event.labels)]
    documents = Documents(conn)
    if any(one.filter is not None for one in members):
        documents.want(event.id, event.size)
        documents.load()
    return {
        one.id for one in members if documents.pass_all(event.id, [] if one.filter is None else [one.filter])
    }


def _check_endpoint(found: Audience, endpoint_id: uuid.UUID | None) -> None:
    if endpoint_id is not None and endpoint_id not in found.members:
        message = f"there is no endpoint {format_id(Kind.ENDPOINT, endpoint_id)}"
        raise Invalid(f"endpoint: {message}.", fields=(FieldError("endpoint", message),))
