"""A child process: what to run, and the one running instance of it.

Every child gets a session of its own (a Ctrl-C at the terminal reaches the supervisor alone, which then
stops the children in order) and cannot outlive this process: the kernel signals it when we die
(`hub.embedded.deathsig`) and the reaper takes its whole process group along (`hub.embedded.reaper`).

`Process.start` must be called from a thread that lives as long as the child should: Linux sends the death
signal when the *thread* that forked ends.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hub.embedded import deathsig, reaper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Child:
    """What to run.

    Args:
        name: shown before each of its log lines.
        argv: program (absolute path) and arguments.
        env: its whole environment.
        ready: tells whether it serves already; None when running is enough.
        prepare: called before every start, for what a crashed predecessor left behind.
        stop_signal: asks it to end in good order.
        stop_timeout: seconds after which it is killed.
        start_timeout: seconds that it may take to become ready.
        death_signal: what it gets when this process dies.
        account: the uid and gid to run as; None for ours.
        cwd: its working directory; None for ours.
        foundation: other children need it, so it is stopped only when they are gone.
        once: it ends by itself and is not started again.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], bool] | None = None
    prepare: Callable[[], None] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout: float = 6.0
    start_timeout: float = 60.0
    death_signal: signal.Signals = signal.SIGKILL
    account: tuple[int, int] | None = None
    cwd: Path | None = None
    foundation: bool = False
    once: bool = False


class Output(Protocol):
    """Where the lines of children go."""

    def open(self, name: str) -> int:
        """A file descriptor for one child to write to; the caller closes it."""


class FileOutput:
    """Appends each child's output to `<directory>/<name>.log`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def open(self, name: str) -> int:
        """Open the child's log file."""
        self._directory.mkdir(parents=True, exist_ok=True)
        return os.open(self._directory / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


class Process:
    """The running instance of a `Child`; may be started again after it ended."""

    def __init__(self, child: Child, output: Output) -> None:
        self.child = child
        self._output = output
        self._popen: subprocess.Popen[bytes] | None = None
        self._cleared = True

    @property
    def pid(self) -> int | None:
        """The process id, which is also its process group; None before the first start."""
        return self._popen.pid if self._popen else None

    @property
    def returncode(self) -> int | None:
        """How it ended, or None while it runs or before the first start."""
        return self._popen.poll() if self._popen else None

    @property
    def alive(self) -> bool:
        """Whether the process itself runs."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start it without waiting for readiness."""
        if self.child.prepare:
            self.child.prepare()
        uid, gid = self.child.account or (os.geteuid(), os.getegid())
        dress = (str(os.getpid()), str(int(self.child.death_signal)), str(uid), str(gid))
        stream = self._output.open(self.child.name)
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-I", "-S", deathsig.__file__, *dress, "--", *self.child.argv],
                env=dict(self.child.env),
                cwd=self.child.cwd,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        finally:
            os.close(stream)
        self._cleared = False
        _reaper.add(self._popen.pid, self.child.death_signal)

    def ready(self) -> bool:
        """Whether it runs and serves."""
        # Alive after the answer, too: who cannot have its port dies while whoever holds it answers.
        return self.alive and (self.child.ready is None or (self.child.ready() and self.alive))

    def wait_ready(self) -> bool:
        """Wait until it serves, it ends, or its start timeout is over; tells whether it serves."""
        deadline = time.monotonic() + self.child.start_timeout
        while self.alive and time.monotonic() < deadline:
            if self.ready():
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def ask_to_stop(self) -> None:
        """Send the stop signal to the process itself; it tells its own children."""
        if self._popen:
            self._popen.send_signal(self.child.stop_signal)

    def wait(self, deadline: float) -> bool:
        """Wait for its end until a point of the monotonic clock; tells whether it ended."""
        if self._popen is None:
            return True
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(max(0.0, deadline - time.monotonic()))
        return not self.alive

    def kill(self) -> None:
        """SIGKILL whatever is left of it, its children included, and collect it."""
        if self._popen is None or self._cleared:
            return
        self._cleared = True  # later the number may be somebody else's
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        _reaper.remove(self._popen.pid)

    def stop(self) -> None:
        """Ask it to stop, wait for its stop timeout, then kill what is left."""
        self.ask_to_stop()
        self.wait(time.monotonic() + self.child.stop_timeout)
        self.kill()


class _Reaper:
    """Our end of the reaper process; started with the first child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[str] | None = None
        self._owner = 0

    def add(self, group: int, death_signal: int) -> None:
        self._write(f"+{group} {int(death_signal)}\n")

    def remove(self, group: int) -> None:
        self._write(f"-{group}\n")

    def _write(self, line: str) -> None:
        with self._lock:
            if self._popen is None or self._owner != os.getpid():
                self._owner = os.getpid()
                self._popen = subprocess.Popen(
                    [sys.executable, "-I", "-S", reaper.__file__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    text=True,
                )
                atexit.register(self._close, self._popen)
            assert self._popen.stdin is not None
            # A reaper that someone killed must not take the supervisor down: the death signal is still there.
            with suppress(BrokenPipeError):
                self._popen.stdin.write(line)
                self._popen.stdin.flush()

    @staticmethod
    def _close(popen: subprocess.Popen[str]) -> None:
        assert popen.stdin is not None
        with suppress(BrokenPipeError):
            popen.stdin.close()
        with suppress(subprocess.TimeoutExpired, ChildProcessError):
            popen.wait(reaper.GRACE_SECONDS + 1)


_reaper = _Reaper()
