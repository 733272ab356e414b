"""One process that evaluates expressions, seen from outside: start, ask, kill.

Promises: the child gets an empty environment, no file descriptor but its two pipes, and a session of its own;
whatever it does, `ask` ends at its deadline. Leaves to others: what is asked, and who may ask when.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_PROGRAM = str(Path(__file__).with_name("child.py"))
_LANGUAGE_PACKAGES = ("jmespath", "jsonata")
_START_SECONDS = 20.0
_HEADER_BYTES = 4
_READ_BYTES = 1 << 18


class ChildEndedError(Exception):
    """The child ended by itself, or said something that is no answer."""


class Child:
    """A started child. Not safe in several threads at once.

    Args:
        memory_bytes: what it may use beyond what it has when it is ready.
        max_bytes: cap of an answer.

    Attributes:
        memory_limited: whether the system enforces `memory_bytes` (Linux does, macOS does not).
        asked: how many questions it was asked.

    Raises:
        ChildEndedError: it does not start.
    """

    def __init__(self, *, memory_bytes: int, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.asked = 0
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                _PROGRAM,
                *_package_directories(),
                "--",
                str(memory_bytes),
                str(max_bytes),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            close_fds=True,
            env={},
            cwd="/",
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin.fileno()
        self._out = self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        try:
            ready = json.loads(self._receive(time.monotonic() + _START_SECONDS))
        except (ChildEndedError, TimeoutError):
            self.kill()
            raise ChildEndedError("the process for expressions does not start") from None
        self.memory_limited: bool = ready["ok"]["memory_limited"]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def ask(self, question: bytes, deadline: float) -> Any:
        """Send a question and wait for its answer.

        Args:
            question: JSON.
            deadline: on the monotonic clock.

        Raises:
            TimeoutError: no whole answer came in time. The child must be killed.
            ChildEndedError: it ended. It must be killed, too, to be reaped.
        """
        self.asked += 1
        self._send(question, deadline)
        return json.loads(self._receive(deadline))

    def _send(self, question: bytes, deadline: float) -> None:
        rest = memoryview(len(question).to_bytes(_HEADER_BYTES, "big") + question)
        while rest:
            try:
                rest = rest[os.write(self._in, rest) :]
            except BlockingIOError:
                _wait(self._in, select.POLLOUT, deadline)
            except BrokenPipeError:
                raise ChildEndedError("it ended") from None

    def _receive(self, deadline: float) -> bytes:
        answer = bytearray()
        needed = _HEADER_BYTES
        while len(answer) < needed:
            try:
                part = os.read(self._out, _READ_BYTES)
            except BlockingIOError:
                _wait(self._out, select.POLLIN, deadline)
                continue
            if not part:
                raise ChildEndedError("it ended")
            answer += part
            if needed == _HEADER_BYTES and len(answer) >= _HEADER_BYTES:
                size = int.from_bytes(answer[:_HEADER_BYTES], "big")
                if size > self._max_bytes:
                    raise ChildEndedError("it gave no answer")
                needed += size
        return bytes(answer[_HEADER_BYTES:])

    def kill(self) -> None:
        """End it at once and reap it; may be called again."""
        self._process.kill()
        self._process.wait()
        self.forget()

    def forget(self) -> None:
        """Let go of it without ending it: it belongs to the process from which this one was forked."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self._process.returncode is None:
            self._process.returncode = 0  # or Popen would look for it in this process when it is collected


def _wait(fd: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(fd, event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError


def _package_directories() -> list[str]:
    """Where the packages of the languages are installed. They are found, not imported: that is for the child."""
    found = [importlib.util.find_spec(name) for name in _LANGUAGE_PACKAGES]
    return sorted(
        {str(Path(spec.origin).parent.parent) for spec in found if spec is not None and spec.origin}
    )
