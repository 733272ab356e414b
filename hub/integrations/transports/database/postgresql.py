"""PostgreSQL: login, one statement in one transaction, ending a statement that nobody waits for."""

from __future__ import annotations

import hashlib
import secrets
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hub.integrations.transports.database import postgresql_types as types
from hub.integrations.transports.database import postgresql_wire as wire
from hub.integrations.transports.database.call import Stale, no_tls
from hub.integrations.transports.database.scram import Scram, ScramFault
from hub.integrations.transports.dialled import Verdict
from hub.net.outcome import ErrorClass
from hub.net.sockets import is_quiet
from hub.net.trace import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.integrations.transports.database.call import Call, Query
    from hub.integrations.transports.database.rows import Rows
    from hub.net.sockets import PlainSocket

PORT = 5432

_IGNORED = frozenset({b"N", b"S", b"A"})  # notices, settings, notifications
# One row may be longer on the wire than in JSON: bytes travel as two digits each.
_ROW_FACTOR, _ROW_EXTRA = 2, 65_536
# The server's limit comes a little before ours, so that its error arrives.
_EARLIER_SECONDS = 0.1


class PostgresqlSession:
    """One connection.

    Args:
        link: with the login done.
        process: the number of the server's process, for cancelling.
        key: what proves that we may cancel it.
    """

    def __init__(self, link: wire.Wire, process: int, key: bytes) -> None:
        self._link = link
        self.sock = link.sock
        self._process = process
        self._key = key
        self._used = False

    @classmethod
    def open(cls, call: Call) -> PostgresqlSession:
        """Connect and log in.

        Raises:
            Verdict: by the server.
            OSError: the connection.
        """
        sock = _connect(call)
        link = wire.Wire(sock)
        try:
            with _strictly():
                return cls(link, *_log_in(link, call))
        except BaseException:
            link.close()
            raise

    @property
    def reusable(self) -> bool:
        """Open, idle and in step."""
        return self.sock.fileno() >= 0 and is_quiet(self.sock)

    def run(self, call: Call, query: Query, rows: Rows) -> bytes:
        """Do one statement; see `Session`."""
        with _strictly():
            # However this call ends, even in its COMMIT, the next one is not the first.
            used, self._used = self._used, True
            self._begin(call, query, used=used)
            statement = query.statement
            values = [types.write(query.values[name]) for name in statement.names]
            # A read pauses after the last row that is kept. A change must run to its end, whatever is kept of it.
            limit = 0 if query.write else query.max_rows + 1
            call.way.trace.phase = Phase.SEND
            self._link.send(wire.execute(statement.text, values, limit))
            call.way.trace.phase = Phase.WAIT
            self._read_rows(rows)
            body = rows.body()
            self._link.send(wire.query("COMMIT"))
            if self._finish(committing=True)[-1:] == [b"ROLLBACK"] and query.write:
                raise Verdict(ErrorClass.PROVIDER_ERROR, "PostgreSQL rolled the transaction back.")
            return body

    def end_statement(self, call: Call) -> None:
        """Have the server end what this connection runs (PostgreSQL 18, 54.2.8)."""
        sock = _connect(call)
        try:
            sock.sendall(wire.cancel_request(self._process, self._key))
            sock.recv(1)  # it closes without an answer once it has done so
        finally:
            sock.close()

    def close(self) -> None:
        """Close it; never raises."""
        try:
            self._link.close()
        except OSError:
            self.sock.close()

    def _begin(self, call: Call, query: Query, *, used: bool) -> None:
        seconds = call.way.deadline.remaining()
        limit = max(int((seconds - min(_EARLIER_SECONDS, seconds / 10)) * 1000), 1)
        begin = (
            f"BEGIN {'READ WRITE' if query.write else 'READ ONLY'}; "
            f"SET LOCAL statement_timeout = {limit}; "
            f"SET LOCAL idle_in_transaction_session_timeout = {int(seconds * 1000) + 10_000}; "
            "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'iso_8601'; "
            "SET LOCAL timezone = 'UTC'; SET LOCAL bytea_output = 'hex'"
        )
        # What an earlier call left in the session must not reach this one.
        clean = [wire.query("DISCARD ALL")] if used else []
        try:
            self._link.send(*clean, wire.query(begin))
            for _ in clean:
                self._finish()
        except OSError:
            if used and not call.way.deadline.over:
                raise Stale from None
            raise
        except Verdict as verdict:
            raise Stale from verdict  # such as: the server is stopping
        self._finish(state=b"T")

    def _read_rows(self, rows: Rows) -> None:
        """Everything up to the end of the statement; an error of the server is raised once it is in step again."""
        room = rows.max_bytes * _ROW_FACTOR + _ROW_EXTRA
        readers: list[types.Reader] = []
        fault: Verdict | None = None
        while True:
            kind, content = self._next(fault, room)
            if kind == b"D":
                texts = wire.row(content)
                rows.add(
                    [None if text is None else read(text) for text, read in zip(texts, readers, strict=True)]
                )
            elif kind == b"T":
                columns = wire.columns(content)
                rows.name([name for name, _ in columns])
                readers = [types.reader(type_) for _, type_ in columns]
            elif kind == b"C":
                rows.changed = _changed(content)
            elif kind == b"E":
                fault = wire.error(content)
            elif kind == b"Z":
                break
            elif kind in {b"G", b"H", b"W"}:
                raise Verdict(ErrorClass.PROVIDER_ERROR, "The statement copies data outside of the answer.")
            elif kind not in _IGNORED | {b"1", b"2", b"n", b"s", b"I"}:
                raise wire.garbled()
        if fault is not None:
            self._roll_back()
            raise fault

    def _roll_back(self) -> None:
        try:
            self._link.send(wire.query("ROLLBACK"))
            self._finish()
        except OSError:
            self.close()  # or it would be kept out of step

    def _finish(self, state: bytes = b"I", *, committing: bool = False) -> list[bytes]:
        """Read to the end of our own statement.

        Returns:
            The tag of each command in it.
        """
        tags: list[bytes] = []
        fault: Verdict | None = None
        at_the_end: Verdict | None = None
        while True:
            kind, content = self._next(at_the_end)
            if kind == b"Z":
                if fault is None and content != state:
                    raise wire.garbled()
                break
            if kind == b"C":
                tags.append(content.rstrip(b"\0"))
            elif kind == b"E":
                fault = fault or wire.error(content)
                at_the_end = _undecided(fault) if committing else fault
            elif kind not in _IGNORED:
                raise wire.garbled()
        if fault is not None:
            raise fault
        return tags

    def _next(self, fault: Verdict | None, room: int = wire.MAX_CONTROL_BYTES) -> tuple[bytes, bytes]:
        """The next message. Nothing comes after a fatal error, which then is why the connection ended."""
        try:
            return self._link.read(room)
        except OSError:
            if fault is None:
                raise
            self.close()  # or it would be kept out of step
            raise fault from None


def _undecided(fault: Verdict) -> Verdict:
    """The fault of a connection that ended in COMMIT, by which the server may have committed already."""
    return Verdict(
        ErrorClass.RESET,
        f"The connection ended in COMMIT, so nobody knows whether it is done. {fault.message}",
        details=fault.details,
    )


def _connect(call: Call) -> PlainSocket:
    """A connection, with TLS when it is to have it."""
    sock = call.way.dial()
    if call.way.context is None:
        return sock
    try:
        sock.sendall(wire.SSL_REQUEST)
        # No more than this one byte: what a stranger adds to it must not pass for what is read under TLS.
        answer = sock.recv(1)
        if answer == b"E":
            raise Verdict(ErrorClass.PROVIDER_BUSY, "The server could not take the connection.")
        if answer != b"S":
            raise ConnectionResetError if not answer else no_tls() if answer == b"N" else wire.garbled()
    except BaseException:
        sock.close()
        raise
    return call.way.wrap_socket(sock)


def _log_in(link: wire.Wire, call: Call) -> tuple[int, bytes]:
    """From the first message until the server is ready for a statement."""
    link.send(
        wire.startup(
            {
                "user": call.login.username,
                "database": call.database,
                "client_encoding": "UTF8",
                "application_name": "integration-hub",
            }
        )
    )
    process, key = 0, b""
    exchange: Scram | None = None
    while True:
        kind, content = link.read()
        if kind == b"R":
            exchange = _authenticate(link, call, content, exchange)
        elif kind == b"K":
            process, key = struct.unpack("!i", content[:4])[0], content[4:]
        elif kind == b"Z":
            if exchange is not None and not exchange.proved:
                raise ScramFault
            return process, key
        elif kind == b"E":
            raise wire.error(content)
        elif kind not in _IGNORED:
            raise wire.garbled()


def _authenticate(link: wire.Wire, call: Call, content: bytes, exchange: Scram | None) -> Scram | None:
    (step,) = struct.unpack_from("!i", content)
    rest = content[4:]
    if step == 0:
        return exchange
    if call.login.password is None:
        raise Verdict(
            ErrorClass.UNAUTHORIZED, "The server asks for a password; give one with auth.mode basic."
        )
    password = call.login.password.reveal()
    if step == 3:
        if call.way.context is None:
            raise Verdict(
                ErrorClass.TLS, "The server asks for the password in the clear, which only TLS allows."
            )
        link.send(wire.message(b"p", password.encode() + b"\0"))
    elif step == 5:
        inner = hashlib.md5((password + call.login.username).encode(), usedforsecurity=False).hexdigest()
        outer = hashlib.md5(inner.encode() + rest[:4], usedforsecurity=False).hexdigest()
        link.send(wire.message(b"p", b"md5" + outer.encode() + b"\0"))
    elif step == 10 and b"SCRAM-SHA-256" in rest.split(b"\0"):
        exchange = Scram(password, secrets.token_urlsafe(18))
        first = exchange.first
        link.send(wire.message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first))
    elif step == 11 and exchange is not None:
        link.send(wire.message(b"p", exchange.answer(rest)))
    elif step == 12 and exchange is not None:
        exchange.check(rest)
    else:
        raise Verdict(
            ErrorClass.UNAUTHORIZED, "The server asks for a way to log in that the hub does not have."
        )
    return exchange


def _changed(content: bytes) -> int | None:
    """The number in a command's tag, for commands that change rows (`INSERT 0 5`)."""
    words = content.rstrip(b"\0").split()
    if words and words[0] in {b"INSERT", b"UPDATE", b"DELETE", b"MERGE"} and words[-1].isdigit():
        return int(words[-1])
    return None


@contextmanager
def _strictly() -> Iterator[None]:
    """What does not fit the protocol is the server's fault, not an accident of ours."""
    try:
        yield
    except (struct.error, ValueError, IndexError):
        raise wire.garbled() from None
    except ScramFault:
        raise Verdict(
            ErrorClass.UNAUTHORIZED, "The server did not prove that it knows the password."
        ) from None
