"""Kept connections, each known by its two addresses: is one still fit for a request?

Promises: one that shows something while it is idle is not fit: what can be read there is its end, or bytes
that would pass for the answer to the next request. libcurl does not look before it sends, and says a
connection's addresses at that moment but not its descriptor, hence the table. Leaves to others: the moment
between the look and the request, in which the other side may still close (`transfer`).
"""

from __future__ import annotations

import os
import select
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Ends = tuple[str, str, int, int]
"""Peer address, own address, peer port, own port."""


class Kept:
    """Belongs to one thread."""

    def __init__(self) -> None:
        self._looks: dict[Ends, Callable[[int], list[Any]]] = {}
        self._ends: dict[int, Ends] = {}

    def opened(self, descriptor: int) -> None:
        """A new socket has this number, so the connection that had it before is gone."""
        ends = self._ends.pop(descriptor, None)
        if ends is not None:
            self._looks.pop(ends, None)

    def connected(self, ends: Ends, descriptors: list[int]) -> None:
        """A connection stands.

        Args:
            ends: its addresses.
            descriptors: the sockets that were opened for it, of which one won.
        """
        for descriptor in descriptors:
            if len(descriptors) == 1 or _own_port(descriptor) == ends[3]:
                poller = select.poll()
                poller.register(descriptor, select.POLLIN)
                self._looks[ends] = poller.poll
                self._ends[descriptor] = ends

    def is_fit(self, ends: Ends) -> bool:
        """True when the connection with these addresses is open and silent."""
        look = self._looks.get(ends)
        return look is not None and not look(0)


def _own_port(descriptor: int) -> int | None:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            return int(copy.getsockname()[1])
    except OSError:  # it lost, and is closed
        return None
