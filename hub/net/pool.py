"""Idle connections, kept for reuse for a short time.

Promises: a connection is handed out only for the very key that it was returned under (tenant, credential,
origin), is closed when it idled for `idle_seconds`, also when no call ever comes again, and is never shared
by two calls. Leaves to others: how many calls run at once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from hub.net.connection import Connection

MAX_IDLE = 1000


class ConnectionPool:
    """Thread-safe. Make it after a fork: its reaper thread does not survive one.

    Args:
        idle_seconds: longest life of an unused connection.
        max_idle: connections kept in all; over it the returned one is closed.
    """

    def __init__(self, idle_seconds: float, max_idle: int = MAX_IDLE) -> None:
        self._idle_seconds = idle_seconds
        self._max_idle = max_idle
        self._idle: dict[Hashable, deque[tuple[float, Connection]]] = {}
        self._count = 0
        self._changed = threading.Condition()
        self._reaping = False
        self._closed = False

    def take(self, key: Hashable) -> Connection | None:
        """The most recently used healthy connection of this key, now the caller's, or None."""
        while True:
            with self._changed:
                stack = self._idle.get(key)
                if not stack:
                    return None
                until, connection = stack.pop()
                self._count -= 1
                if not stack:
                    del self._idle[key]
            if until > time.monotonic() and connection.reusable:
                return connection
            connection.close()

    def give(self, key: Hashable, connection: Connection) -> None:
        """Take back a connection whose answer was read to its end."""
        with self._changed:
            if not self._closed and self._count < self._max_idle:
                self._idle.setdefault(key, deque()).append(
                    (time.monotonic() + self._idle_seconds, connection)
                )
                self._count += 1
                if not self._reaping:
                    self._reaping = True
                    threading.Thread(target=self._reap, name="hub-net-reaper", daemon=True).start()
                return
        connection.close()

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        with self._changed:
            self._closed = True
            idle = [connection for stack in self._idle.values() for _, connection in stack]
            self._idle.clear()
            self._count = 0
            self._changed.notify_all()
        for connection in idle:
            connection.close()

    def _reap(self) -> None:
        """Close what idled too long, sleep until the next one may have; end when nothing is idle."""
        while True:
            with self._changed:
                expired = self._expired(time.monotonic())
                if not self._count:
                    self._reaping = False
                else:
                    oldest = min(stack[0][0] for stack in self._idle.values())
                    if not expired:
                        self._changed.wait(max(oldest - time.monotonic(), 0.01))
                alive = self._reaping
            for connection in expired:
                connection.close()
            if not alive:
                return

    def _expired(self, now: float) -> list[Connection]:
        """Remove and return what is over its time; within a key the oldest stands first."""
        found = []
        for key in list(self._idle):
            stack = self._idle[key]
            while stack and stack[0][0] <= now:
                found.append(stack.popleft()[1])
            if not stack:
                del self._idle[key]
        self._count -= len(found)
        return found
