"""The pump: one task that serves many rows.

Woken by a doorbell, it claims due rows, keeps up to `capacity` calls in flight, records finished ones in batches and
claims more while it has room. Data flows one way through three threads, so that neither a slow database nor a slow
receiver makes the other wait:

    feeder ──jobs──▶ runner (the calling thread) ──outcomes──▶ recorder
    claims rows      makes calls                               writes completions

A pump that is full looks for rows that others crowd out: `reserve` further calls are theirs, so that one slow service
does not hold up all that use the same workers.

It ends when nothing has been due for `linger` seconds (at once if there was nothing at all), when its slice is over
(then it rings again), or when the worker shuts down (then rows not yet started are handed back, and calls in flight
get `grace` seconds).

A failure of the database never loses a row: what could not be claimed stays due, what could not be recorded lapses
and is swept.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from sqlalchemy.exc import SQLAlchemyError

from hub.queue.recorder import BATCH, Recorder, insist, reason_of, rest
from hub.queue.work import Job, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.queue.bell import Bell
    from hub.queue.contracts import TaskName
    from hub.queue.work import Runner, Source

log = logging.getLogger(__name__)

#: How often an idle or busy pump looks at the bell, seconds.
_LOOK = 0.005
#: A pump looks at the database at least this often while it lives, whatever the bell says, seconds.
_LOOK_ANYWAY = 0.25
#: A full pump looks for rows that are crowded out this often, seconds.
_LOOK_BESIDE = 0.05
#: How long a pump whose slice is over looks for a moment without calls in flight, seconds. Ending amid slow ones stops
#: new claims in this process until the last of them is back; it ends all the same at last, so that a process that leaks
#: can be replaced.
OVERTIME = 300.0
_running: set[TaskName] = set()
_running_lock = threading.Lock()


@dataclass(slots=True)
class Report:
    """What one pump task did; its return value is the Celery result and the log line."""

    claimed: int = 0
    recorded: int = 0
    handed_back: int = 0
    absorbed: bool = False
    rang_again: bool = False


class Pump(Generic[Job, Result]):
    """One run of a pump.

    Args:
        task: its task, whose bell it answers.
        source: claims and records.
        runner: makes calls.
        bell: the doorbell.
        capacity: calls in flight at most.
        reserve: calls beyond that for rows which others crowd out.
        slice_seconds: longest life.
        linger: seconds to wait for more work when there is none.
        grace: seconds for calls in flight at shutdown.
        stopping: True once the worker shuts down.
        alive: called about once a second while the pump makes progress.
    """

    def __init__(
        self,
        task: TaskName,
        source: Source[Job, Result],
        runner: Runner[Job, Result],
        bell: Bell,
        *,
        capacity: int,
        reserve: int = 0,
        slice_seconds: float,
        linger: float,
        grace: float,
        stopping: Callable[[], bool],
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._task = task
        self._source = source
        self._runner = runner
        self._bell = bell
        self._capacity = capacity
        self._reserve = reserve
        self._ends = time.monotonic() + slice_seconds
        self._linger = linger
        self._grace = grace
        self._stopping = stopping
        self._alive = alive
        self._inbox: queue.SimpleQueue[list[Job]] = queue.SimpleQueue()
        self._recorder = Recorder(source, self._recorded)
        self._room = threading.Condition()
        self._held = 0  # claimed and not yet recorded
        self._feeding = True
        self._recording = True
        self._fault: Exception | None = None
        # The feeder's own state.
        self._more = True
        self._awake = True
        self._looked = 0.0
        self._looked_beside = 0.0
        self._idle_since = time.monotonic()
        self._trouble = 0
        self.report = Report()

    def run(self) -> Report:
        """Serve the queue's rows until nothing is due, the slice is over or the worker stops."""
        with _running_lock:
            if self._task in _running:
                return Report(absorbed=True)
            _running.add(self._task)
        self._bell.wake(self._task)
        feeder = threading.Thread(target=self._guard, args=(self._feed,), name="feeder", daemon=True)
        recorder = threading.Thread(
            target=self._guard, args=(self._recorder.run,), name="recorder", daemon=True
        )
        feeder.start()
        recorder.start()
        try:
            self._drive()
        finally:
            self._feeding = False
            with self._room:
                self._room.notify_all()
            feeder.join()
            # A claim that was under way when everything else had ended.
            self._hand_back_waiting()
            self._recorder.end()
            recorder.join()
            with _running_lock:
                _running.discard(self._task)
            if self._runner.in_flight and time.monotonic() >= self._ends:
                # Ended by Celery's time limit: the next pump of this process takes over its calls. What ends one sooner
                # is a bug, which would end the next one too.
                self._bell.ring(self._task)
        if self._fault is not None:
            raise self._fault
        if self.report.rang_again:
            self._bell.ring(self._task)
        return self.report

    def _guard(self, body: Callable[[], None]) -> None:
        """A bug in one thread ends the pump with that error; leases lapse, nothing is lost, nothing hangs."""
        try:
            body()
        except Exception as error:  # noqa: BLE001 - re-raised in run()
            self._fault = error
            self._feeding = False
            self._recording = False
            self._bell.sleep(self._task)
            self._runner.wake()

    # -- runner: the calling thread -----------------------------------------------------------------------------------

    def _drive(self) -> None:
        next_sign = 0.0
        while True:
            now = time.monotonic()
            if now >= next_sign:
                self._alive()
                next_sign = now + 1.0
            if self._stopping() or not self._recording:
                self._shut_down()
                return
            self._start_waiting()
            finished = self._runner.poll(0.05)
            if finished:
                self._recorder.put(finished)
            elif not self._feeding and not self._runner.in_flight and self._inbox.empty():
                return

    def _start_waiting(self) -> None:
        while True:
            try:
                jobs = self._inbox.get_nowait()
            except queue.Empty:
                return
            for job in jobs:
                self._runner.add(job)

    def _shut_down(self) -> None:
        """Hand back what did not start, wait for what did, record the rest as interrupted."""
        self._feeding = False
        with self._room:
            self._room.notify_all()
        deadline = time.monotonic() + self._grace
        self._hand_back_waiting()
        while self._runner.in_flight and time.monotonic() < deadline:
            if finished := self._runner.poll(0.05):
                self._recorder.put(finished)
            self._hand_back_waiting()
        if interrupted := self._runner.abort():
            self._recorder.put(interrupted)

    def _hand_back_waiting(self) -> None:
        waiting: list[Job] = []
        while not self._inbox.empty():
            waiting.extend(self._inbox.get_nowait())
        if waiting:
            insist(self._source.hand_back(waiting), "hand rows back", until=time.monotonic() + 2)
            self.report.handed_back += len(waiting)

    def _recorded(self, results: int, written: int) -> None:
        self.report.recorded += written
        with self._room:
            self._held -= results
            self._room.notify()

    # -- feeder -----------------------------------------------------------------------------------------------------

    def _feed(self) -> None:
        while self._feeding:
            now = time.monotonic()
            if now >= self._ends and (not self._held or now >= self._ends + OVERTIME):
                self.report.rang_again = True
                break
            room = self._capacity - self._held
            # Small claims cost as much as large ones: wait until an eighth of the room is free.
            if room < max(1, min(BATCH, self._capacity) // 8):
                self._wait_for_room()
            elif self._news(now):
                self._claim(min(room, BATCH))
            # A ring that another pump has answered already brings nothing: the next message need not wait for it.
            elif self.report.claimed and self._idle_for(now) <= self._linger:
                time.sleep(_LOOK)
            elif self._fell_asleep():
                break
        self._bell.sleep(self._task)
        self._feeding = False
        self._runner.wake()

    def _wait_for_room(self) -> None:
        if self._awake:
            self._bell.sleep(self._task)
            self._bell.call_help(self._task)
            self._awake = False
        with self._room:
            self._room.wait(_LOOK_BESIDE)
        room = self._capacity + self._reserve - self._held
        now = time.monotonic()
        if self._reserve and room > 0 and self._feeding and now - self._looked_beside >= _LOOK_BESIDE:
            self._looked_beside = now
            self._take(lambda: self._source.claim_beside(min(room, BATCH)))

    def _news(self, now: float) -> bool:
        """Is a look at the database worth it?"""
        if not self._awake:
            self._bell.wake(self._task)
            self._awake = self._more = True
        return self._more or now - self._looked > _LOOK_ANYWAY or self._bell.answered(self._task)

    def _idle_for(self, now: float) -> float:
        if self._held:
            self._idle_since = now
        return now - self._idle_since

    def _fell_asleep(self) -> bool:
        """Rings become messages again first, then comes the last look: none can fall between the two."""
        self._bell.sleep(self._task)
        self._awake = False
        return not self._bell.answered_after_sleep(self._task)

    def _claim(self, limit: int) -> None:
        self._looked = time.monotonic()

        def claim() -> list[Job]:
            self._more = True
            jobs, self._more = self._source.claim(limit)
            return jobs

        if taken := self._take(claim):
            self._idle_since = self._looked
            rest(self._looked, taken)

    def _take(self, claim: Callable[[], list[Job]]) -> int:
        try:
            jobs = claim()
        except SQLAlchemyError as error:
            self._trouble += 1
            log.warning("Could not claim (%s); trying again.", reason_of(error))
            time.sleep(min(2.0, 0.1 * 2**self._trouble))
            return 0
        self._trouble = 0
        if jobs:
            with self._room:
                self._held += len(jobs)
            self.report.claimed += len(jobs)
            self._inbox.put(jobs)
            self._runner.wake()
        return len(jobs)
