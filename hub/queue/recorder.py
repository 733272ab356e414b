"""The recorder of a pump: writes what came of jobs, many at once, in a thread of its own.

One transaction takes as many results as have come meanwhile, up to a number and a size. A result that the database
cannot store does not cost its neighbours theirs; what cannot be written for half a minute is left to the leases, which
lapse.
"""

from __future__ import annotations

import logging
import queue
import time
from typing import TYPE_CHECKING, Generic

from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError

from hub.queue.work import Job, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hub.queue.work import Source

log = logging.getLogger(__name__)

#: Rows of one claim, and results of one transaction, at most.
BATCH = 500
#: Bytes of results in one transaction, unless a single one is larger: a statement may have 1 GB, and what fails is
#: written again as a whole.
_BATCH_BYTES = 16 * 1_048_576
#: A thread of a pump that had little to do in one transaction rests for as long as that took, so that the next one
#: carries more; at most this long, seconds.
_REST = 0.02
_LITTLE = BATCH // 8


class Recorder(Generic[Job, Result]):
    """Records for one run of a pump.

    Args:
        source: makes the writes.
        recorded: is told of each transaction: how many results it was given, and how many of them are stored.
    """

    def __init__(self, source: Source[Job, Result], recorded: Callable[[int, int], None]) -> None:
        self._source = source
        self._recorded = recorded
        self._outbox: queue.SimpleQueue[list[Result] | None] = queue.SimpleQueue()

    def put(self, results: list[Result]) -> None:
        """What finished."""
        self._outbox.put(results)

    def end(self) -> None:
        """Nothing more will come; `run` returns when all is written."""
        self._outbox.put(None)

    def run(self) -> None:
        """Write what comes until the end."""
        last = False
        while not last:
            batch = self._outbox.get()
            results: list[Result] = []
            while True:
                if batch is None:
                    last = True
                else:
                    results.extend(batch)
                if last or len(results) >= BATCH:
                    break
                try:
                    batch = self._outbox.get_nowait()
                except queue.Empty:
                    break
            started = time.monotonic()
            for part in self._parts(results):
                self._recorded(len(part), self._write(part))
            if not last:
                rest(started, len(results))

    def _parts(self, results: Sequence[Result]) -> Iterator[list[Result]]:
        part: list[Result] = []
        size = 0
        for result in results:
            weight = self._source.weigh(result)
            if part and (len(part) == BATCH or size + weight > _BATCH_BYTES):
                yield part
                part, size = [], 0
            part.append(result)
            size += weight
        if part:
            yield part

    def _write(self, results: Sequence[Result]) -> int:
        try:
            action = self._source.record(results)
        except Exception as error:  # noqa: BLE001 - what strangers answered must not end the pump of all
            return self._one_by_one(results, type(error).__name__)
        try:
            return len(results) if insist(action, "record results", until=time.monotonic() + 30) else 0
        except DataError as error:
            return self._one_by_one(results, reason_of(error))
        except UnicodeError as error:
            # The driver's, which is none of SQLAlchemy's; its text quotes what it could not encode.
            return self._one_by_one(results, type(error).__name__)

    def _one_by_one(self, results: Sequence[Result], reason: str) -> int:
        if len(results) > 1:
            return sum(self._write([result]) for result in results)
        log.error("A result cannot be stored (%s); its lease will lapse.", reason)
        return 0


def rest(since: float, done: int) -> None:
    """After a small transaction, wait for as long as it took.

    Args:
        since: when it began, by the monotonic clock.
        done: rows that it had.
    """
    if done < _LITTLE:
        time.sleep(min(_REST, time.monotonic() - since))


def insist(action: Callable[[], None], what: str, *, until: float) -> bool:
    """Run a write until it succeeds or the time is over; afterwards the rows' leases lapse and the sweep has them.

    Args:
        action: may be repeated.
        what: for the log.
        until: by the monotonic clock.

    Returns:
        Whether it was written.

    Raises:
        DataError: it would not fit next time either.
    """
    delay = 0.1
    while True:
        try:
            action()
        except DataError:
            raise
        except SQLAlchemyError as error:
            if time.monotonic() > until:
                log.error("Gave up to %s (%s); their leases will lapse.", what, reason_of(error))  # noqa: TRY400
                return False
            log.warning("Could not %s (%s); trying again.", what, reason_of(error))
            time.sleep(delay)
            delay = min(2.0, delay * 2)
        else:
            return True


def reason_of(error: SQLAlchemyError) -> str:
    """The driver's first line: SQLAlchemy's own text holds the statement and its parameters."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(cause).__name__}: {str(cause).splitlines()[0] if str(cause) else ''}"
