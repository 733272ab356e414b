"""Open channels, shared by the calls of one integration and closed when they are of no more use.

Promises: one channel a key, opened by one call while others of the key wait; at most `most` channels that nobody
uses; one is made anew after `seconds`, so that a name that leads elsewhere is noticed, or at once after `drop`. An
open channel without calls closes its connection by itself (see `opening`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.keyed_locks import KeyedLocks

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

#: One with TLS takes about a megabyte.
MOST_CHANNELS = 64
MAX_AGE_SECONDS = 300.0


@dataclass(slots=True, eq=False)
class Opened:
    """One channel.

    Args:
        channel: gRPC's.
        ips: the addresses that it is pinned to.
        made_at: on the monotonic clock.
        users: calls that use it now.
        retired: closed as soon as nobody uses it.
    """

    channel: Any
    ips: tuple[str, ...]
    made_at: float = field(default_factory=time.monotonic)
    users: int = 0
    retired: bool = False


class Channels:
    """Thread-safe.

    Args:
        most: channels that are kept.
        seconds: longest life of a channel.
    """

    def __init__(self, most: int = MOST_CHANNELS, seconds: float = MAX_AGE_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._kept: OrderedDict[Hashable, Opened] = OrderedDict()
        self._opening = KeyedLocks()
        self._lock = threading.Lock()

    @contextmanager
    def use(self, key: Hashable, make: Callable[[], Opened], wait: float) -> Iterator[Opened]:
        """The channel of a key, for the length of one call.

        Args:
            key: equal keys may share a channel.
            make: opens one; what it raises goes to its caller.
            wait: seconds to wait for another call that opens it.

        Raises:
            TimeoutError: it is still being opened.
        """
        opened = self._taken(key) or self._made(key, make, wait)
        try:
            yield opened
        finally:
            with self._lock:
                opened.users -= 1
                unused = opened.retired and not opened.users
            if unused:
                opened.channel.close()

    def drop(self, key: Hashable, opened: Opened) -> None:
        """Have the next call open another one; calls that use this one end in their own time."""
        with self._lock:
            if self._kept.get(key) is opened:
                del self._kept[key]
            opened.retired = True

    def __len__(self) -> int:
        return len(self._kept)

    def close(self) -> None:
        """Close all that nobody uses, and the others when they come back."""
        with self._lock:
            unused = self._retire(list(self._kept))
        for opened in unused:
            opened.channel.close()

    def _taken(self, key: Hashable) -> Opened | None:
        unused: list[Opened] = []
        with self._lock:
            opened = self._kept.get(key)
            if opened is not None and time.monotonic() - opened.made_at > self._seconds:
                unused = self._retire([key])
                opened = None
            if opened is not None:
                opened.users += 1
                self._kept.move_to_end(key)
        for old in unused:
            old.channel.close()
        return opened

    def _made(self, key: Hashable, make: Callable[[], Opened], wait: float) -> Opened:
        with self._opening.holding(key, wait):
            return self._taken(key) or self._keep(key, make())

    def _keep(self, key: Hashable, opened: Opened) -> Opened:
        with self._lock:
            opened.users += 1
            self._kept[key] = opened
            over = max(len(self._kept) - self._most, 0)
            unused = self._retire(list(self._kept)[:over])
        for old in unused:
            old.channel.close()
        return opened

    def _retire(self, keys: list[Hashable]) -> list[Opened]:
        """Forget channels; those that are to be closed now."""
        retired = [self._kept.pop(key) for key in keys]
        for opened in retired:
            opened.retired = True
        return [opened for opened in retired if not opened.users]
