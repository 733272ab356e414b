"""One log stream for many processes: each line carries the name of its process, in its colour."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import BinaryIO

_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_LONGEST_LINE = 65_536


class LogStream:
    """Reads what children write and prints it line by line.

    When its own reader goes away (`hub up | head`) the children go on: their lines are then read and dropped.

    Args:
        target: where to print; standard output when None.
        width: columns for the names.
        colour: whether to colour the names; None decides by the terminal and NO_COLOR.
    """

    def __init__(
        self, target: BinaryIO | None = None, *, width: int = 10, colour: bool | None = None
    ) -> None:
        self._target = target or sys.stdout.buffer
        self._width = width
        self._colour = _wants_colour() if colour is None else colour
        self._lock = threading.Lock()
        self._codes: dict[str, int] = {}
        self._threads: list[threading.Thread] = []

    def open(self, name: str) -> int:
        """A file descriptor for one child; its lines are printed until every copy of it is closed."""
        reading, writing = os.pipe()
        thread = threading.Thread(target=self._follow, args=(name, reading), name=f"log-{name}", daemon=True)
        thread.start()
        self._threads.append(thread)
        return writing

    def drain(self, seconds: float = 1.0) -> None:
        """Wait, so many seconds at most, until the last lines of ended children are printed."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def say(self, text: str, name: str = "hub") -> None:
        """Print lines of our own."""
        for line in text.splitlines() or [""]:
            self._print(name, line.encode())

    def _follow(self, name: str, reading: int) -> None:
        with os.fdopen(reading, "rb") as pipe:
            while line := pipe.readline(_LONGEST_LINE):
                self._print(name, line.rstrip(b"\r\n"))

    def _print(self, name: str, line: bytes) -> None:
        with self._lock:
            prefix = f"{name:<{self._width}} |"
            if self._colour:
                code = self._codes.setdefault(name, _COLOURS[len(self._codes) % len(_COLOURS)])
                prefix = f"\x1b[{code}m{prefix}\x1b[0m"
            try:
                self._target.write(prefix.encode() + b" " + line + b"\n")
                self._target.flush()
            except BrokenPipeError:
                # Nobody reads any more. The children's pipes must keep flowing, and exit must not fail on it.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._target.fileno())


def _wants_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
