"""What was costly to make, kept while there is room: parsed documents, schemas, service descriptions.

Promises: what is kept weighs no more than the cap, whatever is asked for; one caller makes a thing while others that
want the same wait for it; what could not be made is not kept. Leaves to others: the weights.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

from hub.integrations.transports.keyed_locks import KeyedLocks

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class Remembered(Generic[T]):
    """Least recently used goes first. Thread-safe.

    Args:
        most: the most that all of it may weigh, in the unit of the weights.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._weight = 0
        self._kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._looked_at: dict[Hashable, float] = {}
        self._making = KeyedLocks()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], tuple[T, int]], *, wait: float = -1) -> T:
        """The thing of this key, made when it is not kept.

        Args:
            key: equal keys mean the same thing.
            make: gives the thing and its weight; what it raises goes to the caller that ran it.
            wait: seconds to wait for another caller that makes it; for ever by default.

        Raises:
            TimeoutError: another caller is still at it.
        """
        kept = self._found(key)
        if kept is None:
            with self._making.holding(key, wait):
                kept = self._found(key)
                if kept is None:
                    kept = make()
                    with self._lock:
                        self._put(key, kept)
        return kept[0]

    def take_turn(self, key: Hashable, seconds: float) -> bool:
        """Whether the caller is to make a kept thing again: nobody was told so, nor made it, for so many seconds.

        One caller alone is told; while it is at it, and when it fails, the others go on with what is kept.
        """
        now = time.monotonic()
        with self._lock:
            if key not in self._kept or now - self._looked_at[key] < seconds:
                return False
            self._looked_at[key] = now
            return True

    def renew(self, key: Hashable, made: tuple[T, int]) -> None:
        """Put a thing and its weight in the place of the one that is kept; of a key that is not kept, nothing."""
        with self._lock:
            if key in self._kept:
                self._put(key, made)

    def __len__(self) -> int:
        return len(self._kept)

    def _found(self, key: Hashable) -> tuple[T, int] | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def _put(self, key: Hashable, made: tuple[T, int]) -> None:
        self._drop(key)
        if made[1] > self._most:
            return
        self._kept[key], self._looked_at[key] = made, time.monotonic()
        self._weight += made[1]
        while self._weight > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        if key in self._kept:
            self._weight -= self._kept.pop(key)[1]
            del self._looked_at[key]
