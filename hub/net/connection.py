"""One HTTP/1.1 connection to a judged address, under the total deadline of the call that uses it.

Promises: the host is resolved once, every answer is judged, the connection goes to a judged address, and the
peer is judged again once connected. The URL keeps its host name, so SNI, the certificate check and the Host
header are right. Leaves to others: keeping connections (`pool`) and what to do with an answer (`session`).
"""

from __future__ import annotations

import http.client
import re
import socket
import time
from enum import Enum
from typing import TYPE_CHECKING, Any

from hub.net.outcome import Timings
from hub.net.policy import AddressPolicy, EgressRefused
from hub.net.sockets import Deadline, PlainSocket, TlsSocket, is_quiet

if TYPE_CHECKING:
    import io
    import ssl

    from hub.net.dns import Address

MAX_INTERIM_ANSWERS = 50
MAX_HEADER_BYTES = 65_536
MAX_CHUNK_LINE_BYTES = 4096

_LENGTH = re.compile(r"[0-9]+")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")


class Phase(Enum):
    """How far the call has come; it decides what a fault means."""

    DNS = "resolving the name"
    CONNECT = "connecting"
    TLS = "the TLS handshake"
    SEND = "sending the request"
    WAIT = "waiting for the answer"
    BODY = "reading the answer"


class _Head:
    """The lines of an answer up to its body, inside a cap (interim answers count too)."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._room = MAX_HEADER_BYTES

    def readline(self, limit: int) -> bytes:
        line = self._stream.readline(limit)
        self._room -= len(line)
        if self._room < 0:
            raise http.client.HTTPException("headers over the cap")
        return line

    def close(self) -> None:
        self._stream.close()


class Answer(http.client.HTTPResponse):
    """The final answer, framed strictly.

    `http.client` skips only the interim answer 100, keeps up to 6 MB of headers, reads a chunk of size -1 to
    the end of the stream at once, and believes the first of two lengths (RFC 9112, 6.3 and 7.1).
    """

    fp: Any

    def begin(self) -> None:
        """Read up to the body.

        Raises:
            http.client.HTTPException: it is not valid, or its body has no certain end.
        """
        stream = self.fp
        self.fp = head = _Head(stream)
        try:
            super().begin()
        finally:
            if self.fp is head:
                self.fp = stream
        headers: Any = self.headers
        if headers.defects or headers.get_payload():
            raise http.client.HTTPException("a line among the headers is none")
        lengths = {part.strip() for line in headers.get_all("content-length", []) for part in line.split(",")}
        if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
            raise http.client.HTTPException("the length of the body is not certain")
        if headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
            raise http.client.HTTPException("a transfer coding that was not asked for")

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INTERIM_ANSWERS):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status >= 200 or status == 101:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("too many interim answers")

    def _read_next_chunk_size(self) -> int:
        line = self.fp.readline(MAX_CHUNK_LINE_BYTES + 1)
        size = line.partition(b";")[0].strip()
        if len(line) > MAX_CHUNK_LINE_BYTES or not _CHUNK_SIZE.fullmatch(size):
            raise http.client.HTTPException("a chunk without a size")
        return int(size, 16)


class Connection(http.client.HTTPConnection):
    """A guarded connection.

    Args:
        policy: judges the addresses.
        host: DNS name or IP address, without brackets.
        port: TCP port.
        context: for https; None for http.
    """

    response_class = Answer
    sock: PlainSocket | TlsSocket | None

    def __init__(self, policy: AddressPolicy, host: str, port: int, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port)
        # Read by http.client to leave the port out of the Host header.
        self.default_port = 443 if context is not None else 80
        self._policy = policy
        self._context = context
        self._deadline = Deadline(0)
        self.phase = Phase.DNS
        self.timings = Timings()
        self.peer: str | None = None
        self.sent_at = 0.0

    def begin(self, deadline: Deadline) -> None:
        """Start one exchange under its deadline."""
        self._deadline = deadline
        self.timings = Timings()
        self.phase = Phase.DNS
        self.sent_at = time.perf_counter()
        if self.sock is not None:
            self.sock.deadline = deadline
            self.phase = Phase.SEND

    @property
    def reusable(self) -> bool:
        """Open, idle and in step with the other side."""
        return self.sock is not None and is_quiet(self.sock)

    def connect(self) -> None:
        """Resolve, judge, connect, judge the peer, do the TLS handshake; `request` calls it when it must.

        Raises:
            EgressRefused: by the policy.
            OSError: resolution, connection, deadline, TLS (`ssl.SSLError`).
        """
        begun = time.perf_counter()
        self.phase = Phase.DNS
        addresses = self._policy.resolve(self.host, self.port, timeout=self._deadline.remaining())
        resolved = time.perf_counter()
        self.timings.dns_ms = (resolved - begun) * 1000
        self.phase = Phase.CONNECT
        sock: PlainSocket | TlsSocket
        self.sock = sock = self._open(addresses)
        self.peer = str(sock.getpeername()[0])
        if not self._policy.allows(self.peer, self.port):
            raise EgressRefused(
                f"The connection to {self.host} ended at {self.peer}, which is not a public address."
            )
        connected = time.perf_counter()
        self.timings.connect_ms = (connected - resolved) * 1000
        if self._context is not None:
            self.phase = Phase.TLS
            sock.settimeout(self._deadline.remaining())
            # The SSL object inherits the timeout, which bounds the whole handshake.
            secured: Any = self._context.wrap_socket(sock, server_hostname=self.host.rstrip("."))
            secured.deadline = self._deadline
            self.sock = secured
            self.timings.tls_ms = (time.perf_counter() - connected) * 1000
        self.sent_at = time.perf_counter()
        self.phase = Phase.SEND

    def _open(self, addresses: list[Address]) -> PlainSocket:
        """Try the addresses in order; each one gets an equal part of the time that is left."""
        fault: OSError = OSError("the name has no address")
        for index, address in enumerate(addresses):
            sock = PlainSocket(address.family, socket.SOCK_STREAM)
            try:
                sock.deadline = self._deadline
                sock.settimeout(self._deadline.remaining() / (len(addresses) - index))
                sock.connect(address.sockaddr)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                sock.close()
                fault = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise fault
