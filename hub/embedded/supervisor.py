"""Starts children in order, watches them, restarts the crashed, stops them all.

Promises: the next child starts when the one before it serves; a child that crashes later is started again
after a growing delay, with a line that says so; a stop signal ends everything within `STOP_SECONDS`. That
nothing outlives the supervisor itself, even after `kill -9`, is the work of `hub.embedded.process`.

It has to run in the main thread: it takes the process's signals, and the children's death signals hang on
its thread.
"""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from hub.embedded.process import Process

STOP_SECONDS = 10.0
_STABLE_SECONDS = 30.0
_SHORTEST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_TICK_SECONDS = 0.25
_START_TICK_SECONDS = 0.05


def restart_delay(crashes: int) -> float:
    """Seconds to wait before a restart: half a second, doubling with each crash in a row, at most thirty.

    Args:
        crashes: crashes in a row, the latest included.
    """
    return min(_LONGEST_DELAY, _SHORTEST_DELAY * 2.0 ** min(crashes - 1, 16))


def how_it_ended(returncode: int | None) -> str:
    """A return code in words."""
    if returncode is None:
        return "could not be started"
    if returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"


@dataclass(slots=True)
class _Watched:
    process: Process
    crashes: int = 0
    started: float = 0.0
    restart_at: float | None = None
    awaited: bool = False  # restarted, and not seen serving yet
    finished: bool = False

    @property
    def name(self) -> str:
        return self.process.child.name


class Supervisor:
    """Runs processes until it is told to stop.

    Args:
        processes: in starting order; those that run already are watched from here on.
        say: prints one line for the operator.
    """

    def __init__(self, processes: Sequence[Process], *, say: Callable[[str], None]) -> None:
        self._watched = [_Watched(process) for process in processes]
        self._say = say
        self._signals = _Signals()

    def run(self, on_ready: Callable[[], None]) -> int:
        """Start everything, call `on_ready`, and watch until a stop signal; then stop everything.

        Returns:
            0 after a stop signal, 1 when a child did not start.
        """
        with self._signals:
            try:
                if not self._start_all():
                    return 0 if self._signals.stops else 1
                on_ready()
                while not self._signals.stops:
                    for watched in self._watched:
                        self._tend(watched)
                    self._signals.wait(_TICK_SECONDS)
                self._say("Stopping; once more to kill.")
                return 0
            finally:
                self._stop_all()

    def _start_all(self) -> bool:
        for watched in self._watched:
            process = watched.process
            if not process.alive:
                process.start()
            watched.started = time.monotonic()
            while not (process.ready() or process.child.once):
                if self._signals.stops:
                    return False
                if not process.alive:
                    self._say(f"{watched.name} {how_it_ended(process.returncode)} before it was ready.")
                    return False
                if time.monotonic() - watched.started > process.child.start_timeout:
                    self._say(f"{watched.name} was not ready after {process.child.start_timeout:g} s.")
                    return False
                self._signals.wait(_START_TICK_SECONDS)
        return True

    def _tend(self, watched: _Watched) -> None:
        now = time.monotonic()
        process = watched.process
        if watched.restart_at is not None:
            if now >= watched.restart_at:
                self._restart(watched, now)
        elif watched.finished:
            return
        elif not process.alive:
            ending = how_it_ended(process.returncode)
            process.kill()  # its own children too: a pool without its parent is no use
            if process.child.once:
                watched.finished = True
                self._say(f"{watched.name} {ending}.")
            else:
                self._crashed(watched, now, ending)
        elif watched.awaited and process.ready():
            watched.awaited = False
            self._say(f"{watched.name} is back.")
        elif watched.crashes and now - watched.started > _STABLE_SECONDS:
            watched.crashes = 0

    def _restart(self, watched: _Watched, now: float) -> None:
        watched.restart_at = None
        try:
            watched.process.start()
        except (HubError, OSError) as error:
            self._crashed(watched, now, f"could not be started ({error})")
            return
        watched.started = now
        watched.awaited = True

    def _crashed(self, watched: _Watched, now: float, ending: str) -> None:
        watched.crashes += 1
        delay = restart_delay(watched.crashes)
        watched.restart_at = now + delay
        self._say(f"{watched.name} {ending}; starting it again in {delay:g} s.")

    def _stop_all(self) -> None:
        """Ask all but the foundations in reverse order, then the foundations; kill whoever takes too long."""
        impatient = self._signals.stops + 1
        running = [watched.process for watched in reversed(self._watched)]
        for foundation in (False, True):
            wave = [process for process in running if process.child.foundation is foundation]
            for process in wave:
                process.ask_to_stop()
            asked = time.monotonic()
            while any(p.alive and time.monotonic() - asked < p.child.stop_timeout for p in wave):
                if self._signals.stops >= impatient:
                    break
                self._signals.wait(_START_TICK_SECONDS)
            for process in wave:
                if process.alive:
                    self._say(f"{process.child.name} did not stop in time and is killed.")
                process.kill()


class _Signals:
    """Counts stop signals and wakes the waiting main thread on them and on the end of a child.

    A handler that set a `threading.Event` could deadlock with the wait it interrupts; a wake-up pipe cannot.
    """

    _STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.stops = 0

    def __enter__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._old_wakeup = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, self._count) for number in self._STOP}
        self._old[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._reading)
        os.close(self._writing)

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, or earlier on a signal."""
        if select.select([self._reading], [], [], seconds)[0]:
            os.read(self._reading, 4096)

    def _count(self, *_: object) -> None:
        self.stops += 1
