"""Ending a call from outside of it: whoever waits on a socket is woken by the socket's end."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Cancelled(Exception):
    """The call was cancelled; whether its request arrived is unknown."""


class Cancellation:
    """One call's. Thread-safe; cancelling twice is cancelling once.

    Sockets from `hub.net.dial` register themselves; `closing` is for what a library opens by other ways.
    """

    __slots__ = ("_closers", "_lock", "cancelled")

    def __init__(self) -> None:
        # Reentrant, since garbage that is collected meanwhile may be a client that closes its socket.
        self._lock = threading.RLock()
        self._closers: list[Callable[[], object]] = []
        self.cancelled = False

    def cancel(self) -> None:
        """End the call: everything that it holds open is closed. Never raises."""
        with self._lock:
            self.cancelled = True
            closers, self._closers = self._closers, []
        for close in closers:
            # It was closed already, or broke: both are what is wanted.
            with suppress(Exception):
                close()

    def add(self, close: Callable[[], object]) -> None:
        """Have `close` called by `cancel`, from another thread, until `remove`.

        Raises:
            Cancelled: it was cancelled before; `close` is not called then.
        """
        with self._lock:
            if self.cancelled:
                raise Cancelled
            self._closers.append(close)

    def remove(self, close: Callable[[], object]) -> None:
        """Forget `close`. It may still run, or be running, when the call was cancelled meanwhile."""
        with self._lock, suppress(ValueError):
            self._closers.remove(close)

    @contextmanager
    def closing(self, close: Callable[[], object]) -> Iterator[None]:
        """While this lasts, `cancel` calls `close` (such as a client's `close`) from another thread.

        Raises:
            Cancelled: at the start, when it was cancelled before.
        """
        self.add(close)
        try:
            yield
        finally:
            self.remove(close)
