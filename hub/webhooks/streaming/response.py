"""Serving one stream: poll, write, until the client goes away, its key ends or the process is about to.

Promises: no database connection is held between polls, and all streams of a process together never use more than
`_READS` at a time; what one stream keeps in memory is a slice of events and the ids of the last seconds. A client that
reads slowly is waited for, in its own place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from anyio import create_task_group
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hub.core.errors import Forbidden, HubError, Unauthenticated, Unavailable
from hub.webhooks.envelope import OPERATIONAL
from hub.webhooks.matching import matches
from hub.webhooks.streaming import frames, store
from hub.webhooks.streaming.reading import Reading

if TYPE_CHECKING:
    import uuid
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from sqlalchemy import Engine, Row
    from starlette.types import Receive, Scope, Send

    from hub.core.clock import Clock

log = logging.getLogger(__name__)

#: Open at once in one process: of one tenant, of all.
MAX_PER_TENANT = 10
MAX_STREAMS = 200
HEARTBEAT_SECONDS = 15.0

_READS = 2
_PAGE = 1000
_SLICE_EVENTS = 100
_SLICE_BYTES = 1_048_576
_FASTEST, _SLOWEST, _SLOWING = 0.1, 1.0, 1.5
#: Between two looks at the whole window.
_LOOK_BACK_SECONDS = 1.0
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # nginx would hold events back until a buffer is full.
    (b"x-accel-buffering", b"no"),
]


class TooManyStreams(HubError):
    """The tenant has as many streams open as it may."""

    status = 429
    code = "too_many_streams"
    title = "Too many streams"


@dataclass(frozen=True, slots=True)
class Audience:
    """Which events a stream shows; the same words as those of an endpoint.

    Args:
        patterns: event types, prefixes such as `invoice.*`, or `*`.
        labels: not empty: only events that carry one of them.
        kind: `events`, or `operations`: what the hub itself has to say; None: both.
    """

    patterns: tuple[str, ...] = ("*",)
    labels: frozenset[str] = frozenset()
    kind: str | None = None

    def takes(self, head: Row[Any]) -> bool:
        """Is this event for it?"""
        kind = "operations" if head.source == OPERATIONAL else "events"
        return (
            self.kind in {None, kind}
            and matches(self.patterns, head.type)
            and (not self.labels or not self.labels.isdisjoint(head.labels or ()))
        )


class Streams:
    """What the streams of one process share; of one event loop.

    Args:
        engine: the database.
        clock: wall time.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        #: Set it, and all streams end in good order.
        self.ending = asyncio.Event()
        self.clock = clock
        self._engine = engine
        self._reads = asyncio.Semaphore(_READS)
        self._open: Counter[uuid.UUID] = Counter()

    @contextmanager
    def place(self, tenant_id: uuid.UUID) -> Iterator[None]:
        """A place among the open streams.

        Raises:
            TooManyStreams: the tenant has none left.
            Unavailable: the process has none left, or is about to end.
        """
        if self._open[tenant_id] >= MAX_PER_TENANT:
            raise TooManyStreams(f"{MAX_PER_TENANT} streams of this tenant are open here: close one first.")
        if self.ending.is_set() or self._open.total() >= MAX_STREAMS:
            raise Unavailable("No more streams can be opened here; try again in a moment.")
        self._open[tenant_id] += 1
        try:
            yield
        finally:
            self._open[tenant_id] -= 1
            if not self._open[tenant_id]:
                del self._open[tenant_id]

    async def read(
        self, query: Callable[..., Sequence[Row[Any]]], *args: Any, **kwargs: Any
    ) -> list[Row[Any]]:
        """Run one query in a thread, with a connection of its own.

        Raises:
            SQLAlchemyError: the database does not answer.
        """

        def run() -> list[Row[Any]]:
            with self._engine.connect() as conn:
                return list(query(conn, *args, **kwargs))

        async with self._reads:
            return await run_in_threadpool(run)


class EventStream(Response):
    """The answer that does not end.

    Args:
        streams: of this process.
        tenant_id: whose events.
        audience: which of them.
        after: the event, or the place, to resume after; None: from now on.
        check: raises when the caller may not go on; asked at every heartbeat.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        streams: Streams,
        tenant_id: uuid.UUID,
        audience: Audience,
        *,
        after: uuid.UUID | None,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__()
        self._streams = streams
        self._tenant_id = tenant_id
        self._audience = audience
        self._after = after
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Serve it. What goes wrong before the first byte is raised, for a proper answer.

        Raises:
            TooManyStreams, Unavailable: there is no place.
            SQLAlchemyError: the database does not answer.
        """
        with self._streams.place(self._tenant_id):
            reading = await self._begin()
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            async with create_task_group() as group:

                async def watch() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    group.cancel_scope.cancel()

                group.start_soon(watch)
                await self._serve(reading, send)
                group.cancel_scope.cancel()

    async def _begin(self) -> Reading:
        """Find the place, before the client is told that it is connected: what it publishes then, it will see."""
        now = self._streams.clock.now()
        if self._after is not None:
            return Reading.resumed(self._after, now)
        reading = Reading.from_now(now)
        position = reading.settled
        while True:
            heads, _ = await self._page(reading, position)
            if len(heads) < _PAGE:
                return reading
            position = heads[-1].id

    async def _serve(self, reading: Reading, send: Send) -> None:
        try:
            await _write(send, frames.opening(reading.resume_from))
            await self._follow(reading, send)
        except (Unauthenticated, Forbidden):
            log.info("A stream ends: its API key does.")
        except SQLAlchemyError as error:
            # The client comes back with its place, and is told then if this lasts.
            log.warning("A stream ends: the database did not answer (%s).", type(error).__name__)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, reading: Reading, send: Send) -> None:
        ending = self._streams.ending
        pause = _FASTEST
        position = reading.settled
        looked_back = pulse = monotonic()
        while not ending.is_set():
            heads, fresh = await self._page(reading, position)
            await self._show(
                [head for head in heads if head.id in fresh and self._audience.takes(head)], send
            )
            if monotonic() - pulse >= HEARTBEAT_SECONDS:
                pulse = monotonic()
                await self._check()
                # Only here, where all that was taken has been sent, is the place to resume from true.
                await _write(send, frames.heartbeat(reading.resume_from))
            if len(heads) == _PAGE:
                position = heads[-1].id
                continue
            pause = _FASTEST if fresh else min(pause * _SLOWING, _SLOWEST)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), pause)
            position = reading.newest
            if monotonic() - looked_back >= _LOOK_BACK_SECONDS:
                looked_back = monotonic()
                position = reading.settled

    async def _page(self, reading: Reading, position: uuid.UUID) -> tuple[list[Row[Any]], set[uuid.UUID]]:
        """Read the events after an id, and which of them are new."""
        now = self._streams.clock.now()
        heads = await self._streams.read(store.list_heads, self._tenant_id, after=position, limit=_PAGE)
        fresh = reading.take(position, [head.id for head in heads], full=len(heads) == _PAGE, now=now)
        return heads, set(fresh)

    async def _show(self, heads: Sequence[Row[Any]], send: Send) -> None:
        for ids in _slices(heads):
            rows = await self._streams.read(store.load_bodies, self._tenant_id, ids=ids)
            await _write(send, b"".join(map(frames.event_frame, rows)))
            if self._streams.ending.is_set():
                return


def _slices(heads: Sequence[Row[Any]]) -> Iterator[list[uuid.UUID]]:
    """As many events at a time as fit into the memory of one stream."""
    ids: list[uuid.UUID] = []
    size = 0
    for head in heads:
        if ids and (len(ids) == _SLICE_EVENTS or size + head.size > _SLICE_BYTES):
            yield ids
            ids, size = [], 0
        ids.append(head.id)
        size += head.size
    if ids:
        yield ids


async def _write(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})
