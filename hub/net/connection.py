"""One HTTP/1.1 connection to a judged address, under the total deadline of the call that uses it.

Promises: the URL keeps its host name, so SNI, the certificate check and the Host header are right; an answer is
framed strictly. Leaves to others: opening the connection (`dial`), keeping it (`pool`) and what to do with an answer
(`session`).
"""

from __future__ import annotations

import http.client
import re
import time
from typing import TYPE_CHECKING, Any

from hub.net.dial import dial, secure
from hub.net.sockets import Deadline, PlainSocket, is_quiet
from hub.net.trace import Phase, Trace

if TYPE_CHECKING:
    import io
    import ssl

    from hub.net.cancellation import Cancellation
    from hub.net.policy import AddressPolicy

MAX_INTERIM_ANSWERS = 50
MAX_HEADER_BYTES = 65_536
MAX_CHUNK_LINE_BYTES = 4096

_LENGTH = re.compile(r"[0-9]+")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_EMPTY_LINES = (b"\r\n", b"\n")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")


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


class _Headers:
    """The headers of one answer, by lower-case name."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of a name in lower case."""
        found = self._values.get(name)
        return found[0] if found else default

    def get_all(self, name: str) -> list[str]:
        """All values of a name in lower case."""
        return self._values.get(name, [])


def _read_headers(head: _Head) -> list[tuple[str, str]]:
    """Header lines up to the empty one.

    Python's own way is a parser of e-mail, which costs a tenth of a call.

    Raises:
        http.client.HTTPException: a line is none (RFC 9112, 5), or the stream ends before.
    """
    pairs: list[tuple[str, str]] = []
    while (line := head.readline(MAX_HEADER_BYTES + 1)) not in _EMPTY_LINES:
        if line[:1] in b" \t" and pairs:
            # Folded (RFC 9112, 5.2): one line in two.
            name, value = pairs[-1]
            pairs[-1] = (name, f"{value} {line.decode('latin-1').strip()}")
            continue
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or _NAME.fullmatch(name) is None or not line.endswith(b"\n"):
            raise http.client.HTTPException("a line among the headers is none")
        pairs.append((name, value.strip(" \t\r\n")))
    return pairs


class Answer(http.client.HTTPResponse):
    """The final answer, framed strictly.

    `http.client` skips only the interim answer 100, keeps up to 6 MB of headers, reads a chunk of size -1 to
    the end of the stream at once, and believes the first of two lengths (RFC 9112, 6.3 and 7.1).
    """

    fp: Any
    headers: Any
    #: Names as they came, and values.
    pairs: list[tuple[str, str]]

    def begin(self) -> None:
        """Read up to the body.

        Raises:
            http.client.HTTPException: it is not valid, or its body has no certain end.
        """
        stream = self.fp
        self.fp = head = _Head(stream)
        try:
            version, status, reason = self._read_status()
            if not version.startswith("HTTP/1."):
                raise http.client.UnknownProtocol(version)
            self.version = 10 if version == "HTTP/1.0" else 11
            self.code = self.status = status
            self.reason = reason.strip()
            self.pairs = _read_headers(head)
        finally:
            # Without a status line it is closed already.
            if self.fp is head:
                self.fp = stream
        self.headers = self.msg = _Headers(self.pairs)  # type: ignore[assignment]
        self._frame()

    def _frame(self) -> None:
        """Where the body ends (RFC 9112, 6.3), and whether the connection can be used again (9.3)."""
        self.chunk_left = None
        self.will_close = self._check_close()  # type: ignore[attr-defined]
        coding = self.headers.get("transfer-encoding")
        if self.status in {101, 204, 304} or self._method == "HEAD":  # type: ignore[attr-defined]
            # These have no body, whatever their headers say (RFC 9112, 6.3, rule 1).
            self.chunked, self.length = False, 0
            # Who names a coding here, which is forbidden (6.1), may send a last chunk too; after 101 there is no HTTP.
            self.will_close |= self.status == 101 or (self.status == 204 and coding is not None)
            return
        lengths = {
            part.strip() for line in self.headers.get_all("content-length") for part in line.split(",")
        }
        if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
            raise http.client.HTTPException("the length of the body is not certain")
        if coding is not None and coding.strip().lower() != "chunked":
            raise http.client.HTTPException("a transfer coding that was not asked for")
        self.chunked = coding is not None
        self.length = None if self.chunked or not lengths else int(lengths.pop())
        if not self.chunked and self.length is None:
            self.will_close = True

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INTERIM_ANSWERS):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status >= 200 or status == 101:
                return version, status, reason
            _read_headers(self.fp)
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
    sock: PlainSocket | None

    def __init__(self, policy: AddressPolicy, host: str, port: int, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port)
        # Read by http.client to leave the port out of the Host header.
        self.default_port = 443 if context is not None else 80
        self._policy = policy
        self._context = context
        self._deadline = Deadline(0)
        self._cancellation: Cancellation | None = None
        self.trace = Trace()
        self.sent_at = 0.0

    def begin(self, deadline: Deadline, cancellation: Cancellation | None = None) -> None:
        """Start one exchange.

        Raises:
            Cancelled: it was cancelled before.
        """
        self._deadline = deadline
        self._cancellation = cancellation
        peer, self.trace = self.trace.peer, Trace()
        self.sent_at = time.perf_counter()
        if self.sock is not None:
            self.trace.peer = peer
            self.trace.phase = Phase.SEND
            self.sock.under(deadline, cancellation)

    @property
    def reusable(self) -> bool:
        """Open, idle and in step with the other side."""
        return self.sock is not None and is_quiet(self.sock)

    def connect(self) -> None:
        """Dial, and do the TLS handshake; `request` calls it when it must.

        Raises:
            EgressRefused: by the policy.
            OSError: resolution, connection, deadline, TLS (`ssl.SSLError`).
            Cancelled: by the exchange's cancellation.
        """
        sock = dial(
            self._policy,
            self.host,
            self.port,
            deadline=self._deadline,
            cancellation=self._cancellation,
            trace=self.trace,
        )
        if self._context is not None:
            sock = secure(sock, self.host, context=self._context, deadline=self._deadline, trace=self.trace)
        self.sock = sock
        self.sent_at = time.perf_counter()
