"""PostgreSQL's messages (protocol 3.0, PostgreSQL 18, chapter 54) over a guarded socket.

Why not libpq: it reads PG* variables and service, password and key files of whoever runs the process, cannot be given
a socket or a bound for one row, and says no SQLSTATE when a login is refused. Promises: no message longer than the cap
is read into memory. Leaves to others: what the messages mean.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

from hub.integrations.transports.database import sqlstates
from hub.integrations.transports.dialled import Verdict
from hub.net.outcome import ErrorClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.net.sockets import PlainSocket

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_PROTOCOL = 196608
MAX_CONTROL_BYTES = 1_048_576
_FIELDS = {
    b"S": "severity",
    b"C": "sqlstate",
    b"M": "message",
    b"D": "detail",
    b"H": "hint",
    b"P": "position",
    b"s": "schema",
    b"t": "table",
    b"c": "column",
    b"d": "type",
    b"n": "constraint",
}


class Wire:
    """One connection's messages.

    Args:
        sock: connected, and secured when it is to be.
    """

    def __init__(self, sock: PlainSocket) -> None:
        self.sock = sock
        self._stream: BinaryIO = sock.makefile("rb")

    def send(self, *messages: bytes) -> None:
        """Send messages together."""
        self.sock.sendall(b"".join(messages))

    def read(self, max_bytes: int = MAX_CONTROL_BYTES) -> tuple[bytes, bytes]:
        """The next message: its kind and what is in it.

        Args:
            max_bytes: a longer one is not read.

        Raises:
            Verdict: it is over the cap, or no message of this protocol.
            OSError: the connection.
        """
        kind, length = struct.unpack("!ci", self._exactly(5))
        if length < 4:
            raise garbled()
        if length - 4 > max_bytes:
            raise Verdict(ErrorClass.TOO_LARGE, f"A part of the answer is longer than {max_bytes} bytes.")
        return kind, self._exactly(length - 4)

    def close(self) -> None:
        """Say nothing and close."""
        self._stream.close()
        self.sock.close()

    def _exactly(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise ConnectionResetError("closed by the other side")
        return data


def garbled() -> Verdict:
    """The fault of an answer that is not PostgreSQL's."""
    return Verdict(ErrorClass.PROTOCOL, "The answer is not valid PostgreSQL.")


def startup(parameters: dict[str, str]) -> bytes:
    """The first message of a connection."""
    pairs = b"".join(text.encode() + b"\0" for pair in parameters.items() for text in pair)
    return struct.pack("!ii", 9 + len(pairs), _PROTOCOL) + pairs + b"\0"


def cancel_request(process: int, key: bytes) -> bytes:
    """The only message of a connection that ends another one's statement."""
    return struct.pack("!iii", 12 + len(key), 80877102, process) + key


def message(kind: bytes, content: bytes) -> bytes:
    """Any other message."""
    return kind + struct.pack("!i", 4 + len(content)) + content


def query(sql: str) -> bytes:
    """Our own statements, without values."""
    return message(b"Q", sql.encode() + b"\0")


def execute(sql: str, values: Sequence[bytes | None], max_rows: int) -> bytes:
    """One statement and its values, answered in text.

    Args:
        sql: with `$1` …; the server refuses more than one statement.
        values: as text, None for null.
        max_rows: where the server pauses; 0 never.
    """
    parse = b"\0" + sql.encode() + b"\0" + struct.pack("!h", 0)
    given = [
        struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value for value in values
    ]
    bind = [b"\0\0", struct.pack("!hh", 0, len(values)), *given, struct.pack("!h", 0)]
    return b"".join(
        [
            message(b"P", parse),
            message(b"B", b"".join(bind)),
            message(b"D", b"P\0"),
            message(b"E", b"\0" + struct.pack("!i", max_rows)),
            message(b"S", b""),
        ]
    )


def error(content: bytes) -> Verdict:
    """The verdict of an ErrorResponse."""
    said = {
        _FIELDS[field[:1]]: field[1:].decode("utf-8", "replace")
        for field in content.split(b"\0")
        if field[:1] in _FIELDS
    }
    sqlstate = said.get("sqlstate", "")
    text = said.get("message", "no reason was given")
    return sqlstates.error(
        sqlstates.classify(sqlstate), f"PostgreSQL: {text} ({sqlstate}).", sqlstate, dict(said)
    )


def columns(content: bytes) -> list[tuple[str, int]]:
    """Names and types of a RowDescription."""
    found: list[tuple[str, int]] = []
    (count,) = struct.unpack_from("!h", content)
    at = 2
    for _ in range(count):
        end = content.index(b"\0", at)
        (type_,) = struct.unpack_from("!i", content, end + 7)
        found.append((content[at:end].decode("utf-8", "replace"), type_))
        at = end + 19
    return found


def row(content: bytes) -> list[str | None]:
    """The texts of a DataRow."""
    (count,) = struct.unpack_from("!h", content)
    values: list[str | None] = []
    at = 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", content, at)
        at += 4
        if length < 0:
            values.append(None)
        else:
            if at + length > len(content):
                raise garbled()
            values.append(content[at : at + length].decode("utf-8", "replace"))
            at += length
    return values
