"""Sockets that keep one total deadline.

A socket timeout in Python counts each read alone, so a server that sends one byte a second never trips it.
Here every read and write first sets the timeout to what is left of the call: a header, body or `100
Continue` drip, a peer that does not read and a slow TLS handshake all end at the same moment.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class Deadline:
    """A moment on the monotonic clock.

    Args:
        seconds: from now.
    """

    __slots__ = ("_end",)

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

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
    """TCP under a deadline, in the two calls that `http.client` makes: `sendall` and `recv_into`."""

    deadline: Deadline

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """As in `socket`, within the deadline."""
        self.settimeout(self.deadline.remaining())
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """As in `socket`, within the deadline (CPython counts the whole of it as one)."""
        self.settimeout(self.deadline.remaining())
        super().sendall(data, flags)


class TlsSocket(ssl.SSLSocket):
    """TLS under a deadline. `SSLSocket.sendall` loops over `send`, so that is the one to cover."""

    deadline: Deadline

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """As in `ssl`, within the deadline."""
        self.settimeout(self.deadline.remaining())
        return super().recv_into(buffer, nbytes, flags)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """As in `ssl`, within the deadline."""
        self.settimeout(self.deadline.remaining())
        return super().send(data, flags)


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """A verifying client context (certificate and name, TLS 1.2 or newer) whose sockets keep deadlines.

    Args:
        ca_file: trusted certificates in PEM; the system's when None.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = TlsSocket
    return context


def is_quiet(sock: socket.socket) -> bool:
    """True when an idle connection can be used again: what can be read is its end or a stray answer."""
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return not poller.poll(0)
