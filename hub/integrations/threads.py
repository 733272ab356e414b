"""A pump's runner on threads: blocking calls, at most `capacity` at once.

Threads are made when there is work for them and end after some idle seconds, so an idle worker has none and a
runner may serve one pump after another. A call that does not end (a library that forgot its deadline) is given up, and
its thread left behind: it must not keep a place for ever, nor the pump from ending.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")

_IDLE_SECONDS = 5.0
#: After the first of several calls ended, the others get so long to end with it: a batch costs what one row costs.
_GATHER_SECONDS = 0.002
#: Seconds between looks for calls that do not end.
_LOOK_SECONDS = 1.0


class ThreadRunner(Generic[Job, Result]):
    """Implements `hub.queue.pump.Runner`.

    Args:
        work: makes one call; must not raise.
        interrupted: the result of a job whose call was given up.
        capacity: threads at most, but for those that are left behind.
        patience: seconds after which a job is given up; None: never.
        overdue: the result of such a job; as for `interrupted` when None.
    """

    def __init__(
        self,
        work: Callable[[Job], Result],
        interrupted: Callable[[Job], Result],
        *,
        capacity: int,
        patience: Callable[[Job], float] | None = None,
        overdue: Callable[[Job], Result] | None = None,
    ) -> None:
        self._work = work
        self._interrupted = interrupted
        self._capacity = capacity
        self._patience = patience
        self._overdue = overdue or interrupted
        self._ends: dict[int, float] = {}
        self._left_behind: set[int] = set()
        self._next_look = 0.0
        self._jobs: queue.SimpleQueue[tuple[int, Job]] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._open: dict[int, Job] = {}
        self._done: list[Result] = []
        self._woken = False
        self._threads = 0

    @property
    def in_flight(self) -> int:
        """Calls that were started and whose results were not fetched yet."""
        return len(self._open) + len(self._done)

    def add(self, job: Job) -> None:
        """Start a job; returns at once."""
        with self._changed:
            number = next(self._numbers)
            self._open[number] = job
            grow = self._threads < min(len(self._open), self._capacity)
            self._threads += grow
            # Inside the lock: a thread that ends looks for jobs under it.
            self._jobs.put((number, job))
        if grow:
            threading.Thread(target=self._serve, name="call", daemon=True).start()

    def poll(self, timeout: float) -> list[Result]:
        """What finished; waits up to `timeout` seconds for something to."""
        with self._changed:
            self._give_up_overdue()
            if not (self._done or self._woken):
                self._changed.wait(timeout)
                if self._done and self._open:
                    self._changed.wait_for(lambda: self._woken or not self._open, _GATHER_SECONDS)
            self._woken = False
            done, self._done = self._done, []
            return done

    def wake(self) -> None:
        """Make a poll in another thread return."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def abort(self) -> list[Result]:
        """Give all calls up: what they still bring is dropped. Their threads end with them."""
        with self._changed:
            done = [*self._done, *map(self._interrupted, self._open.values())]
            self._done = []
            self._open.clear()
            self._ends.clear()
            return done

    def close(self) -> None:
        """Nothing: idle threads end by themselves, and the next pump may use those that are left."""

    def _give_up_overdue(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        for number in [one for one, end in self._ends.items() if end < now]:
            del self._ends[number]
            self._done.append(self._overdue(self._open.pop(number)))
            # Another thread takes its place.
            self._threads -= 1
            self._left_behind.add(number)
            log.error(
                "A call did not end in its time and is given up; %d such go on.", len(self._left_behind)
            )

    def _serve(self) -> None:
        while True:
            try:
                number, job = self._jobs.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._changed:
                    # A job that came at this very moment counts on this thread.
                    if self._jobs.empty():
                        self._threads -= 1
                        return
                continue
            with self._changed:
                if number not in self._open:
                    continue
                if self._patience is not None:
                    self._ends[number] = time.monotonic() + self._patience(job)
            result = self._run(job)
            with self._changed:
                if self._open.pop(number, None) is not None:
                    self._ends.pop(number, None)
                    self._done.append(result)
                    self._changed.notify_all()
                elif number in self._left_behind:
                    self._left_behind.discard(number)
                    return

    def _run(self, job: Job) -> Result:
        try:
            return self._work(job)
        except Exception:
            log.exception("A call failed in a way that it must not.")
            return self._interrupted(job)
