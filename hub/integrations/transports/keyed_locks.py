"""One at a time for each key: callers that want the same thing made wait while one of them makes it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator


class _Entry:
    """One key's lock, and how many callers hold or want it."""

    __slots__ = ("callers", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.callers = 0


class KeyedLocks:
    """Locks by key; one that nobody wants takes no memory."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}
        self._lock = threading.Lock()

    @contextmanager
    def holding(self, key: Hashable, wait: float = -1) -> Iterator[None]:
        """Hold the lock of a key.

        Args:
            key: equal keys have one lock.
            wait: seconds to wait for another caller; for ever by default.

        Raises:
            TimeoutError: another caller still holds it.
        """
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            entry.callers += 1
        try:
            if not entry.lock.acquire(timeout=wait):
                raise TimeoutError("another call is still at it")
            try:
                yield
            finally:
                entry.lock.release()
        finally:
            with self._lock:
                entry.callers -= 1
                if not entry.callers:
                    del self._entries[key]
