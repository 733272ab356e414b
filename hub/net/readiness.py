"""Which of libcurl's sockets can be read or written now, and a bell that other threads can ring.

Promises: `wait` never waits longer than told; a ring is never lost and counts once. libcurl stops watching a
connection whenever it falls idle and watches it again for the next call; doing as told would cost two system
calls a request, so an idle connection stays watched until it shows something or its number comes back as a
new socket. Leaves to others: what to do with a ready socket (`multi`).

It is a selector of our own because `curl_multi_fdset` cannot count past 1,024 descriptors.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from typing import TYPE_CHECKING

import pycurl

if TYPE_CHECKING:
    from collections.abc import Iterable

_EVENTS = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
_ACTIONS = {
    selectors.EVENT_READ: pycurl.CSELECT_IN,
    selectors.EVENT_WRITE: pycurl.CSELECT_OUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}


class Readiness:
    """Belongs to one thread, but for `ring`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell, self._bell_push = socket.socketpair()
        for end in (self._bell, self._bell_push):
            end.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._watched: dict[int, int] = {}
        self._idle: set[int] = set()

    def ring(self) -> None:
        """End the present or the next `wait` early; from any thread."""
        # A full pipe is a bell that rings already; a closed one has nobody left to wake.
        with contextlib.suppress(OSError):
            self._bell_push.send(b"!")

    def follow(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        """Heed libcurl's wish about a socket (CURLMOPT_SOCKETFUNCTION)."""
        if what == pycurl.POLL_REMOVE:
            if descriptor in self._watched:
                self._idle.add(descriptor)
            return
        events = _EVENTS.get(what)
        if events is None:
            return
        before = self._watched.get(descriptor)
        if before is None:
            self._selector.register(descriptor, events)
        elif before != events:
            self._selector.modify(descriptor, events)
        self._watched[descriptor] = events
        self._idle.discard(descriptor)

    def forget(self, descriptors: Iterable[int] | None = None) -> None:
        """Watch these no longer; all when None. For sockets that are closed, also when the number is used anew."""
        for descriptor in list(self._watched) if descriptors is None else descriptors:
            if self._watched.pop(descriptor, None) is not None:
                self._idle.discard(descriptor)
                self._selector.unregister(descriptor)

    def wait(self, seconds: float) -> tuple[bool, list[tuple[int, int]]]:
        """Wait for a socket or the bell.

        Args:
            seconds: at most; 0 only looks.

        Returns:
            Whether the bell rang; the ready sockets with what they are ready for (CURL_CSELECT bits).
        """
        rung = False
        ready = []
        for key, events in self._selector.select(seconds):
            if key.fd in self._idle:
                # Closed by the other side, or bytes nobody asked for: libcurl looks for that before it uses
                # the connection again.
                self.forget((key.fd,))
            elif key.fileobj is self._bell:
                rung = True
                self._silence()
            else:
                ready.append((key.fd, _ACTIONS[events]))
        return rung, ready

    def close(self) -> None:
        """Give the descriptors back."""
        self._selector.close()
        self._bell.close()
        self._bell_push.close()

    def _silence(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(self._bell.recv(4096)) == 4096:
                pass
