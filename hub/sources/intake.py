"""From judged requests to committed rows: keys of de-duplication, events and requests in one transaction.

An accepted request and its event are committed together or not at all; who sent it is answered after that.

De-duplication is by the provider's own id of the event. Where a provider tells none, its requests are told apart by
nothing: equal bytes may well be two events (Dropbox sends the same few bytes for every change), and an event too
many is better than one too few. A source may say otherwise (`dedupe_by: body`).
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace
from prometheus_client import Counter as Metric
from sqlalchemy.exc import DataError, SQLAlchemyError

from hub.core.errors import Invalid, Unavailable
from hub.queue.contracts import DOORBELL_IDS, TaskName
from hub.sources import store
from hub.web.group_commit import GroupCommit
from hub.webhooks.publishing import Publication, write

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Engine

    from hub.sources.store import NewInbound
    from hub.web.services import Ring
    from hub.webhooks.events import Event

log = logging.getLogger(__name__)

Outcome = Literal["accepted", "duplicate", "handshake", "rejected"]

#: The newest requests that a source keeps of each outcome but `accepted`, which retention bounds.
KEPT = 100
#: What is over is deleted whenever so many more were written: a statement for each would cost as much as the flood.
_TRIM_EVERY = 25
#: Repeats of one source that one transaction writes down; the others are answered and counted.
_MAX_REPEATS = 10

#: Requests in one transaction, and those that wait for one; more are refused with 503 instead of filling memory.
_MAX_GROUP, _MAX_WAITING = 500, 5_000

_requests = Metric("hub_inbound_requests", "Requests of providers by what became of them.", ("outcome",))


@dataclass(frozen=True, slots=True)
class Judged:
    """A request that was judged.

    Args:
        row: as it is to be written, but for what is known after its event was.
        event: what it says, if it was verified.
        key: what tells it from others of its source; None is not de-duplicated.
        window: for how long, seconds.
        traceparent: W3C trace context that goes on with the event.
    """

    row: NewInbound
    event: Event | None = None
    key: bytes | None = None
    window: int = 0
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of it."""

    outcome: Outcome
    message_id: uuid.UUID | None


def key_of(event_id: str | None, body: bytes, dedupe_by: str) -> bytes | None:
    """What tells a request from others: SHA-256 of the provider's id or, if the source says so, of the body."""
    if event_id:
        return hashlib.sha256(b"id\0" + event_id.encode("utf-8", "surrogatepass")).digest()
    return hashlib.sha256(b"body\0" + body).digest() if dedupe_by == "body" else None


def publish(conn: Connection, judged: Sequence[Judged]) -> list[Settled]:
    """Write the events of judged requests, each once: two statements, one more when something was seen before.

    Args:
        conn: a connection inside a transaction.
        judged: in the order of the answers.
    """
    first, events = _claim(conn, judged)
    settled: list[Settled] = []
    publications: list[Publication] = []
    for index, one in enumerate(judged):
        identity = (one.row.source_id, one.key or b"")
        if one.event is None:
            settled.append(Settled("handshake" if one.row.outcome == "handshake" else "rejected", None))
        elif one.key is not None and first.get(identity) != index:
            settled.append(Settled("duplicate", events.get(identity)))
        else:
            publications.append(
                Publication(one.row.tenant_id, [one.event], "incoming", traceparent=one.traceparent)
            )
            settled.append(Settled("accepted", one.event.row_id))
    if publications:
        write(conn, publications)
    return settled


def settle(conn: Connection, judged: Sequence[Judged]) -> list[Settled]:
    """Write judged requests and their events: three statements, one more when something was seen before.

    Args:
        conn: a connection inside the transaction whose commit is the acceptance.
        judged: in the order of the answers.
    """
    settled = publish(conn, judged)
    repeats: Counter[uuid.UUID] = Counter()
    rows: list[NewInbound] = []
    for one, end in zip(judged, settled, strict=True):
        body = one.row.body
        if end.outcome == "duplicate":
            repeats[one.row.source_id] += 1
            if repeats[one.row.source_id] > _MAX_REPEATS:
                continue
            body = None  # the first one's is kept
        rows.append(replace(one.row, outcome=end.outcome, body=body, message_id=end.message_id))
    store.insert_inbound(conn, rows)
    return settled


def _claim(
    conn: Connection, judged: Sequence[Judged]
) -> tuple[dict[tuple[uuid.UUID, bytes], int], dict[tuple[uuid.UUID, bytes], uuid.UUID]]:
    """Which request is the first under each key, by its index, and the event of every key."""
    first: dict[tuple[uuid.UUID, bytes], int] = {}
    claims: list[store.NewKey] = []
    for index, one in enumerate(judged):
        if one.event is None or one.key is None:
            continue
        identity = (one.row.source_id, one.key)
        if identity not in first:
            first[identity] = index
            claims.append(store.NewKey(one.row.source_id, one.key, one.event.row_id, one.window))
    if not claims:
        return {}, {}
    events = {(claim.source_id, claim.key): claim.message_id for claim in claims}
    seen = first.keys() - store.claim_keys(conn, claims)
    for identity in seen:
        del first[identity], events[identity]
    return first, events | (store.find_claimed(conn, seen) if seen else {})


class Intake:
    """Commits judged requests of one event loop in groups.

    Args:
        engine: the database.
        ring: the doorbell; must not block.
        window_seconds: how long a request waits for company.
    """

    def __init__(self, engine: Engine, ring: Ring, *, window_seconds: float) -> None:
        self._engine = engine
        self._ring = ring
        self._lock = threading.Lock()
        self._untrimmed: Counter[tuple[uuid.UUID, str]] = Counter()
        self._groups = GroupCommit[Judged, Settled](
            self._write,
            window_seconds=window_seconds,
            what="requests",
            max_group=_MAX_GROUP,
            max_waiting=_MAX_WAITING,
        )
        self.start = self._groups.start
        self.stop = self._groups.stop

    async def put(self, judged: Judged) -> Settled:
        """Commit a request.

        Raises:
            Unavailable: too many wait, or the database does not answer.
        """
        settled = await self._groups.put(judged, size=judged.row.body_bytes)
        _requests.labels(settled.outcome).inc()
        return settled

    def uncounted(self, outcome: Outcome) -> None:
        """Count a request that is not written down."""
        _requests.labels(outcome).inc()

    def _write(self, judged: Sequence[Judged]) -> Sequence[Settled | Exception]:
        try:
            with self._engine.begin() as conn:
                settled = settle(conn, judged)
        except DataError as error:
            if len(judged) > 1:
                # One request's data must not cost its neighbours their acceptance.
                return [answer for one in judged for answer in self._write([one])]
            log.warning("The database refused an incoming request: %s", type(error.orig).__name__)
            return [Invalid("The database cannot store this request.")]
        except SQLAlchemyError as error:
            failure = Unavailable(f"The database does not answer ({type(error).__name__}); send this again.")
            return [failure] * len(judged)
        accepted = [
            one.event.public_id
            for one, end in zip(judged, settled, strict=True)
            if one.event and end.outcome == "accepted"
        ]
        if accepted:
            self._ring(TaskName.DELIVERIES_SEND, accepted[:DOORBELL_IDS])
        self._trim((one.row.source_id, end.outcome) for one, end in zip(judged, settled, strict=True))
        return settled

    def _trim(self, written: Iterable[tuple[uuid.UUID, str]]) -> None:
        """Delete what is over; a fault of it is not the requests' fault, which are committed."""
        with self._lock:
            self._untrimmed.update(kind for kind in written if kind[1] != "accepted")
            due = [kind for kind, count in self._untrimmed.items() if count >= _TRIM_EVERY]
            for kind in due:
                del self._untrimmed[kind]
        if not due:
            return
        try:
            with self._engine.begin() as conn:
                store.trim_inbound(conn, due, keep=KEPT)
        except SQLAlchemyError as error:
            log.warning("Old requests could not be deleted (%s).", type(error).__name__)
