"""Ending a call from outside of it: whoever waits on a socket is woken by the socket's end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Cancelled(Exception):  # noqa: N818 - named by what happened
    """The call was cancelled; whether its request arrived is unknown."""


class Cancellation:
    """One call's. Thread-safe; cancelling twice is cancelling once."""

    __slots__ = ("_closers", "_lock", "cancelled")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closers: list[Callable[[], object]] = []
        self.cancelled = False

    def cancel(self) -> None:
        """End the call: everything that it holds open is closed. Never raises."""
        with self._lock:
            self.cancelled = True
            closers, self._closers = self._closers, []
        for close in closers:
            try:
                close()
            except Exception:  # noqa: BLE001, S110 - it was closed already, or broke: both are what is wanted
                pass

    @contextmanager
    def closing(self, close: Callable[[], object]) -> Iterator[None]:
        """While this lasts, `cancel` calls `close` (such as a socket's `shutdown`) from another thread.

        Raises:
            Cancelled: at the start, when it was cancelled before.
        """
        with self._lock:
            if self.cancelled:
                raise Cancelled
            self._closers.append(close)
        try:
            yield
        finally:
            with self._lock:
                if close in self._closers:
                    self._closers.remove(close)
