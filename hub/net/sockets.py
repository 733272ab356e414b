"""Sockets that keep one total deadline, and end when their call is cancelled.

A socket timeout in Python counts each read alone, so a server that sends one byte a second never trips it.
Here every read and write first sets the timeout to what is left of the call: a header, body or `100
Continue` drip, a peer that does not read and a slow TLS handshake all end at the same moment. A library that is
given such a socket may set timeouts of its own; they count as long as they are the shorter ones.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from _typeshed import ReadableBuffer, WriteableBuffer
    from typing_extensions import Buffer

    from hub.net.cancellation import Cancellation

# Not by `super()`: this is the timeout of the next system call, not the one that a library asked for.
_limit = socket.socket.settimeout


class Deadline:
    """A moment on the monotonic clock.

    Args:
        seconds: from now.
    """

    __slots__ = ("_begun", "_end")

    def __init__(self, seconds: float) -> None:
        self._begun = time.monotonic()
        self._end = self._begun + seconds

    @property
    def spent(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._begun

    @property
    def over(self) -> bool:
        """No time is left."""
        return time.monotonic() >= self._end

    def remaining(self) -> float:
        """Seconds left, always above 0.

        Raises:
            TimeoutError: none are left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call's time is over")
        return left


class PlainSocket(socket.socket):
    """TCP that belongs to one call at a time: within its deadline, and shut down when it is cancelled."""

    _deadline: Deadline | None = None
    _cancellation: Cancellation | None = None
    _asked: float | None = None
    """The timeout that a library set; None: it leaves time to the deadline."""
    _ending: AbstractContextManager[object]

    def under(self, deadline: Deadline | None, cancellation: Cancellation | None = None) -> None:
        """Belong to a call from now on.

        Args:
            deadline: for every read, write and handshake.
            cancellation: shuts the connection down, from another thread.

        Raises:
            Cancelled: it was cancelled before.
        """
        self.bound(deadline)
        if cancellation is not None:
            self._ending = threading.RLock()  # reentrant for the sake of garbage collection
            self._cancellation = cancellation
            cancellation.add(self.end)

    def bound(self, deadline: Deadline | None) -> None:
        """Keep another deadline from now on."""
        self._deadline = deadline

    def release(self) -> bool:
        """Belong to no call, and keep the connection; False when it is of no use: the call was cancelled."""
        cancellation = self._cancellation
        if cancellation is None:
            return True
        cancellation.remove(self.end)
        if cancellation.cancelled:
            return False
        self._cancellation = None
        return True

    def end(self) -> None:
        """Shut the connection down; for another thread than the one that uses it, which then wakes up. Never raises.

        On purpose not `SSLSocket.shutdown`, which turns encryption off first: what the other thread writes in that
        moment would go out in the clear.
        """
        # Closed meanwhile, its number may be that of another call's socket.
        with self._ending, contextlib.suppress(OSError):
            if self.fileno() >= 0:
                socket.socket.shutdown(self, socket.SHUT_RDWR)

    def close(self) -> None:
        """As in `socket`."""
        cancellation = self._cancellation
        if cancellation is None:
            super().close()
            return
        with self._ending:
            super().close()
        if self.fileno() < 0:
            cancellation.remove(self.end)

    def settimeout(self, value: float | None) -> None:
        """As in `socket`; the deadline counts all the same."""
        self._asked = value
        _limit(self, value)

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the signature of `socket`
        """As in `socket`."""
        self.settimeout(None if flag else 0.0)

    def gettimeout(self) -> float | None:
        """What was asked for, not what is left."""
        return self._asked

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """As in `socket`, within the deadline."""
        self.arm()
        return super().recv(bufsize, flags)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """As in `socket`, within the deadline."""
        self.arm()
        return super().recv_into(buffer, nbytes, flags)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """As in `socket`, within the deadline."""
        self.arm()
        return super().send(data, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """As in `socket`, within the deadline (CPython counts the whole of it as one)."""
        self.arm()
        super().sendall(data, flags)

    def arm(self, share: float = 1.0) -> None:
        """Bound the next system call.

        Args:
            share: which part of the time that is left it may take.

        Raises:
            TimeoutError: no time is left.
        """
        deadline = self._deadline
        if deadline is None:
            return
        asked = self._asked
        if asked is None:
            _limit(self, deadline.remaining() * share)
        elif deadline.over:
            # A library with timeouts of its own takes one for a reason to try again; an end it understands.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self, socket.SHUT_RDWR)
        elif asked > 0:
            _limit(self, min(asked, deadline.remaining()))


class TlsSocket(PlainSocket, ssl.SSLSocket):  # type: ignore[misc] # the stubs let recv take None
    """TLS under a deadline; made by a `TlsContext`, of a `PlainSocket` whose call it then belongs to."""

    def read(self, len: int = 1024, buffer: Buffer | None = None) -> Any:  # noqa: A002 - as in `ssl`
        """As in `ssl`, within the deadline."""
        self.arm()
        return super().read(len, buffer)

    def write(self, data: ReadableBuffer) -> int:
        """As in `ssl`, within the deadline."""
        self.arm()
        return super().write(data)

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of `ssl`
        """As in `ssl`, within the deadline, which bounds all of it."""
        self.arm()
        super().do_handshake(block)

    def unwrap(self) -> socket.socket:
        """As in `ssl`, within the deadline, which bounds the wait for the other side's goodbye too."""
        self.arm()
        return super().unwrap()


class TlsContext(ssl.SSLContext):
    """Makes TLS sockets that stay under the deadline and cancellation of the socket that they are made of.

    So a library that starts TLS by itself (STARTTLS, AUTH TLS) needs no more than this context.
    """

    sslsocket_class = TlsSocket

    def wrap_socket(  # type: ignore[override] # the rest is passed on
        self, sock: socket.socket, *, do_handshake_on_connect: bool = True, **options: Any
    ) -> TlsSocket:
        """As in `ssl`."""
        deadline, cancellation = None, None
        if isinstance(sock, PlainSocket):
            deadline, cancellation = sock._deadline, sock._cancellation  # noqa: SLF001 - its kin
            sock.release()
        secured = super().wrap_socket(sock, do_handshake_on_connect=False, **options)
        assert isinstance(secured, TlsSocket)
        try:
            secured.under(deadline, cancellation)
            if do_handshake_on_connect:
                secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        return secured


def is_quiet(sock: socket.socket) -> bool:
    """True when an idle connection can be used again: what can be read is its end or a stray answer."""
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return not poller.poll(0)
