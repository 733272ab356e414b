"""Accepting events: from request bytes to committed rows, the same for every door.

Accepted means committed: the answer is given after the transaction, the doorbell rings after that. Publishes of one
API process that arrive within a couple of milliseconds share one transaction (group commit), because a commit costs
a disk flush whether it carries one event or a thousand.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from prometheus_client import Histogram
from sqlalchemy.exc import DataError, SQLAlchemyError

from hub.access.idempotency import Claim, Fresh, IdempotencyKeyReused, Replay, hash_body
from hub.access.store import claim_many, finish_key
from hub.core.errors import FieldError, HubError, Invalid, Malformed, Unavailable
from hub.core.ids import Kind, format_id, new_uuid
from hub.queue.contracts import DOORBELL_IDS, TaskName
from hub.webhooks import store
from hub.webhooks.matching import check_event_type

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

    from hub.web.services import Ring

log = logging.getLogger(__name__)

MAX_EVENTS = 1000
#: Events that wait for a commit in one process; more are refused with 503 instead of filling memory.
_MAX_WAITING = 20_000
#: Events in one transaction.
_MAX_GROUP = 2_000
_EVENT_ID = re.compile(r"[A-Za-z0-9_:\-]{1,128}")
_AT = re.compile(r" - at `\$(?P<path>[^`]*)`$")

_group_size = Histogram(
    "hub_commit_events",
    "Events that shared one commit.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
)


class EventInput(msgspec.Struct, forbid_unknown_fields=True):
    """One event as a publisher sends it.

    Attributes:
        type: dotted event type.
        data: any JSON value; its bytes go to receivers as they are.
        id: the publisher's own id; publishing it twice is one event. It becomes the `webhook-id`.
    """

    type: str
    data: msgspec.Raw
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event, checked, with the id it will have if it is new."""

    row_id: uuid.UUID
    type: str
    data: str
    event_id: str | None

    @property
    def public_id(self) -> str:
        """`msg_…`."""
        return format_id(Kind.MESSAGE, self.row_id)


@dataclass(frozen=True, slots=True)
class Publication:
    """The events of one request.

    Args:
        tenant_id: whose they are.
        events: at least one.
        source: the door: `http`, `celery`.
        idempotency: the request's key and the hash of its body.
    """

    tenant_id: uuid.UUID
    events: Sequence[Event]
    source: str
    idempotency: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one event."""

    id: str
    status: Literal["accepted", "duplicate", "conflict"]

    def as_dict(self) -> dict[str, str]:
        """The JSON form."""
        return {"id": self.id, "status": self.status}


_one = msgspec.json.Decoder(EventInput)
_many = msgspec.json.Decoder(list[EventInput])


def read_events(raw: bytes) -> tuple[list[Event], bool]:
    """Read one event (an object) or up to 1,000 (an array) from JSON that is already known to be well-formed.

    Returns:
        The events, and whether they came as a list.

    Raises:
        Invalid: names every field at fault that can be told.
    """
    is_list = raw.lstrip()[:1] == b"["
    try:
        inputs = _many.decode(raw) if is_list else [_one.decode(raw)]
    except msgspec.ValidationError as error:
        text = str(error)
        match = _AT.search(text)
        path = re.sub(r"\[(\d+)\]", r".\1", match["path"]).strip(".") if match else ""
        message = _AT.sub("", text)
        raise Invalid(f"The event is not valid: {text}.", fields=(FieldError(path, message),)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The body is not JSON: {error}.") from None
    if is_list and not 1 <= len(inputs) <= MAX_EVENTS:
        message = f"must hold 1 to {MAX_EVENTS} events, not {len(inputs)}"
        raise Invalid(f"The list {message}.", fields=(FieldError("", message),))
    faults: list[FieldError] = []
    events = []
    for index, item in enumerate(inputs):
        prefix = f"{index}." if is_list else ""
        try:
            events.append(make_event(item.type, bytes(item.data).decode(), item.id, prefix=prefix))
        except Invalid as error:
            faults.extend(error.fields)
    if faults:
        raise Invalid("; ".join(f"{f.path} {f.message}" for f in faults[:5]) + ".", fields=tuple(faults[:50]))
    return events, is_list


def make_event(event_type: str, data: str, event_id: str | None, *, prefix: str = "") -> Event:
    """Check one event's parts; `data` is JSON text that was checked by the caller.

    Raises:
        Invalid: names the field.
    """
    check_event_type(event_type, field=f"{prefix}type")
    if event_id is not None and _EVENT_ID.fullmatch(event_id) is None:
        message = "must be 1 to 128 letters, digits, `_`, `:` or `-`"
        raise Invalid(f"{prefix}id {message}.", fields=(FieldError(f"{prefix}id", message),))
    return Event(new_uuid(), event_type, data, event_id)


def write(
    conn: Connection, publications: Sequence[Publication]
) -> list[list[Receipt] | IdempotencyKeyReused]:
    """Write many publications in one transaction: one statement, two more when ids or keys are given.

    Args:
        conn: a connection inside the transaction whose commit is the acceptance.
        publications: whose order is the order of the answers.
    """
    answers: list[list[Receipt] | IdempotencyKeyReused] = [
        [Receipt(event.public_id, "accepted") for event in publication.events] for publication in publications
    ]
    open_indexes, repeats = _settle_requests(conn, publications, answers)
    fresh = _settle_events(conn, publications, open_indexes, answers)
    _keep_answers(conn, publications, open_indexes, answers)
    for i, first in repeats.items():
        receipts = answers[first]
        assert isinstance(receipts, list)
        answers[i] = [_repeated(receipt.id, receipt.status) for receipt in receipts]
    if fresh:
        store.insert_messages(
            conn,
            [
                store.NewMessage(
                    event.row_id,
                    publication.tenant_id,
                    event.type,
                    event.data,
                    publication.source,
                    event.event_id,
                )
                for publication, event in fresh
            ],
        )
    return answers


def _settle_requests(
    conn: Connection, publications: Sequence[Publication], answers: list[list[Receipt] | IdempotencyKeyReused]
) -> tuple[list[int], dict[int, int]]:
    """Answer requests whose Idempotency-Key was used in an earlier transaction.

    Returns:
        The indexes of the requests that are new, and those that repeat one of them with the index of that one.
    """
    keyed = [i for i, p in enumerate(publications) if p.idempotency is not None]
    if not keyed:
        return list(range(len(publications))), {}
    claims = []
    for i in keyed:
        publication = publications[i]
        assert publication.idempotency is not None
        key, body_hash = publication.idempotency
        response = [[event.public_id, "accepted"] for event in publication.events]
        claims.append(
            Claim(publication.tenant_id, "events.publish", key, body_hash, response=response, status=202)
        )
    settled: set[int] = set()
    new: dict[tuple[uuid.UUID, str], int] = {}
    repeats: dict[int, int] = {}
    for i, claim, outcome in zip(keyed, claims, claim_many(conn, claims), strict=True):
        identity = (claim.tenant_id, claim.key)
        if isinstance(outcome, Fresh):
            new[identity] = i
            continue
        settled.add(i)
        if isinstance(outcome, IdempotencyKeyReused):
            answers[i] = outcome
        elif identity in new:  # in this very batch, whose events are not settled yet
            repeats[i] = new[identity]
        else:
            answers[i] = [_repeated(event_id, status) for event_id, status in outcome.response]
    return [i for i in range(len(publications)) if i not in settled], repeats


def _repeated(event_id: str, status: str) -> Receipt:
    """What a repeat is told of an event of the first request."""
    return Receipt(event_id, "conflict" if status == "conflict" else "duplicate")


def _keep_answers(
    conn: Connection,
    publications: Sequence[Publication],
    indexes: Sequence[int],
    answers: list[list[Receipt] | IdempotencyKeyReused],
) -> None:
    """Correct what is stored under a request's key when not all of its events turned out to be new."""
    for i in indexes:
        publication, receipts = publications[i], answers[i]
        assert isinstance(receipts, list)
        if publication.idempotency is None or all(receipt.status == "accepted" for receipt in receipts):
            continue
        finish_key(
            conn,
            publication.tenant_id,
            "events.publish",
            publication.idempotency[0],
            status=202,
            response=[[receipt.id, receipt.status] for receipt in receipts],
            resource_id=None,
        )


def _settle_events(
    conn: Connection,
    publications: Sequence[Publication],
    indexes: Sequence[int],
    answers: list[list[Receipt] | IdempotencyKeyReused],
) -> list[tuple[Publication, Event]]:
    """Find events whose publisher id was seen; return the new ones."""
    fresh: list[tuple[Publication, Event]] = []
    named: list[tuple[int, int]] = []
    claims = []
    for i in indexes:
        publication = publications[i]
        for j, event in enumerate(publication.events):
            if event.event_id is None:
                fresh.append((publication, event))
                continue
            named.append((i, j))
            claims.append(
                Claim(
                    publication.tenant_id,
                    "event",
                    event.event_id,
                    hash_body(f"{event.type}\0{event.data}".encode()),
                    resource_id=event.row_id,
                )
            )
    for (i, j), outcome in zip(named, claim_many(conn, claims) if claims else [], strict=True):
        publication = publications[i]
        event = publication.events[j]
        if isinstance(outcome, Fresh):
            fresh.append((publication, event))
            continue
        receipts = answers[i]
        assert isinstance(receipts, list)
        if isinstance(outcome, Replay) and outcome.resource_id is not None:
            receipts[j] = Receipt(format_id(Kind.MESSAGE, outcome.resource_id), "duplicate")
        else:
            receipts[j] = Receipt(event.event_id or "", "conflict")
    return fresh


@dataclass(slots=True)
class _Waiting:
    publication: Publication
    answer: asyncio.Future[list[Receipt]]


class Committer:
    """Group commit for one event loop.

    Args:
        engine: the database.
        ring: the doorbell; must not block.
        window_seconds: how long a publish waits for company. The next group collects while one is being written, so
            under load the window adds nothing.
    """

    #: Transactions under way at once: while one waits for the disk, the next is prepared.
    _PARALLEL = 2

    def __init__(self, engine: Engine, ring: Ring, *, window_seconds: float) -> None:
        self._engine = engine
        self._ring = ring
        self._window = window_seconds
        self._waiting: list[_Waiting] = []
        self._events_waiting = 0
        self._news = asyncio.Event()
        self._slots = asyncio.Semaphore(self._PARALLEL)
        self._threads = ThreadPoolExecutor(self._PARALLEL, thread_name_prefix="commit")
        self._loop_task: asyncio.Task[None] | None = None
        self._groups: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to commit."""
        self._loop_task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Commit what waits, then end."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop_task
        while self._waiting:
            await self._write_group(self._take())
        await asyncio.gather(*self._groups)
        self._threads.shutdown()

    async def publish(self, publication: Publication) -> list[Receipt]:
        """Commit the events of one request.

        Raises:
            IdempotencyKeyReused: its key was used with another body.
            Unavailable: too many wait, or the database does not answer; nothing was accepted.
        """
        if self._events_waiting + len(publication.events) > _MAX_WAITING:
            raise Unavailable(
                f"{self._events_waiting} events wait to be written; send this again in a moment."
            )
        waiting = _Waiting(publication, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._events_waiting += len(publication.events)
        self._news.set()
        return await waiting.answer

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            if self._window and self._events_waiting < _MAX_GROUP:
                await asyncio.sleep(self._window)
            await self._slots.acquire()
            group = self._take()
            if not self._waiting:
                self._news.clear()
            task = asyncio.create_task(self._write_group(group, slot=True))
            self._groups.add(task)
            task.add_done_callback(self._groups.discard)

    def _take(self) -> list[_Waiting]:
        count, events = 0, 0
        for waiting in self._waiting:
            if count and events + len(waiting.publication.events) > _MAX_GROUP:
                break
            count += 1
            events += len(waiting.publication.events)
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        self._events_waiting -= events
        return group

    async def _write_group(self, group: list[_Waiting], *, slot: bool = False) -> None:
        try:
            loop = asyncio.get_running_loop()
            answers: Sequence[Any] = await loop.run_in_executor(self._threads, self._write, group)
        except HubError as error:
            answers = [error] * len(group)
        except SQLAlchemyError as error:
            failure = Unavailable(
                f"The database did not take the events ({type(error).__name__}); send them again."
            )
            answers = [failure] * len(group)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            answers = [error] * len(group)
        finally:
            if slot:
                self._slots.release()
        for waiting, answer in zip(group, answers, strict=True):
            if waiting.answer.done():  # the client went away
                continue
            if isinstance(answer, BaseException):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)

    def _write(self, group: list[_Waiting]) -> list[list[Receipt] | HubError]:
        try:
            return self._write_together([waiting.publication for waiting in group])
        except DataError as error:
            if len(group) > 1:
                # One request's data must not cost its neighbours their acceptance.
                return [answer for waiting in group for answer in self._write([waiting])]
            log.warning("The database refused an event: %s", type(error.orig).__name__)
            return [Invalid("The database cannot store this event.")]

    def _write_together(self, publications: list[Publication]) -> list[list[Receipt] | HubError]:
        with self._engine.begin() as conn:
            answers: list[list[Receipt] | HubError] = [*write(conn, publications)]
        _group_size.observe(sum(len(p.events) for p in publications))
        accepted = [r.id for a in answers if isinstance(a, list) for r in a if r.status == "accepted"]
        if accepted:
            self._ring(TaskName.DELIVERIES_SEND, accepted[:DOORBELL_IDS])
        return answers
