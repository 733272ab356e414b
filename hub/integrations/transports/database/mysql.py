"""MySQL and MariaDB through pymysql: login, one statement in one transaction, ending what nobody waits for.

pymysql writes values into the text of a statement; here they travel in user variables instead, as hexadecimal literals,
and the server puts them into the statement that it has prepared (`PREPARE … EXECUTE … USING`, MySQL 8.4, 15.5). It also
refuses to prepare more than one statement.

Rules for values: `DECIMAL` is its exact text; `DATETIME` is ISO 8601 without an offset, `TIMESTAMP` with `+00:00`;
binary strings are base64, `BIT` is a number; MySQL's JSON stays json (MariaDB's is a text).
"""

from __future__ import annotations

import base64
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.database import sqlstates
from hub.integrations.transports.database.call import Stale, no_tls
from hub.integrations.transports.database.parameters import Json
from hub.integrations.transports.database.rows import json_value
from hub.integrations.transports.dialled import Verdict
from hub.net.outcome import ErrorClass
from hub.net.sockets import is_quiet
from hub.net.trace import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hub.integrations.transports.database.call import Call, Query
    from hub.integrations.transports.database.rows import Rows
    from hub.net.sockets import PlainSocket

PORT = 3306

_RESET_CONNECTION = 31  # COM_RESET_CONNECTION, MySQL 5.7.3, MariaDB 10.2.4
_ROW_FACTOR, _ROW_EXTRA = 2, 65_536
_MAX_COLUMNS = 4096  # MySQL 8.4, 10.4.7, MariaDB the same
_EARLIER_SECONDS = 0.1

# Error numbers: MySQL 8.4 Error Message Reference, MariaDB Error Codes.
_UNAUTHORIZED = frozenset({1044, 1045, 1251, 1275, 1698, 1820, 1862, 3118, 4151})
_BUSY = frozenset({1040, 1041, 1053, 1129, 1203, 1205, 1213, 1226, 3572})
_TIMEOUT = frozenset({1317, 1969, 3024})
_LOST = frozenset({2003, 2006, 2013})
_NO_TLS = 2026


def open_session(call: Call) -> MysqlSession:
    """Connect and log in.

    Raises:
        Verdict: by the server.
        OSError: the connection.
    """
    login = call.login
    link = _driver()(
        user=login.username,
        # As bytes: pymysql would take texts for Latin-1.
        password=b"" if login.password is None else login.password.reveal().encode(),
        host=call.way.host,
        database=call.database,
        port=call.way.port,
        charset="utf8mb4",
        conv=_readers(),
        autocommit=None,
        local_infile=False,
        defer_connect=True,
        ssl=call.way.context,
        ssl_disabled=call.way.context is None,
        program_name="integration-hub",
    )
    link.ctx = call.way
    sock = call.way.dial()
    try:
        with _strictly():
            link.connect(sock)
    except BaseException:
        sock.close()
        raise
    return MysqlSession(link)


class MysqlSession:
    """One connection.

    Args:
        link: pymysql's, with the login done.
    """

    def __init__(self, link: Any) -> None:
        self._link = link
        self.sock: PlainSocket = link._sock  # noqa: SLF001 - the secured one, if it is
        self._used = False
        self._left = False

    @property
    def reusable(self) -> bool:
        """Open, idle and in step."""
        return not self._left and self._link.open and is_quiet(self.sock)

    def run(self, call: Call, query: Query, rows: Rows) -> bytes:
        """Do one statement; see `Session`."""
        self._link.room = rows.max_bytes * _ROW_FACTOR + _ROW_EXTRA
        with _strictly():
            self._begin(call, query)
            self._used = True
            try:
                self._execute(call, query, rows)
            except Verdict:
                raise
            except _errors() as error:
                fault = _verdict(error)
                if "sqlstate" in fault.headers:
                    self._do("ROLLBACK")
                raise fault from None
            body = rows.body()
            if not self._left:
                self._do("COMMIT")
            return body

    def end_statement(self, call: Call) -> None:
        """Have the server end what this connection runs."""
        other = open_session(call)
        try:
            other._do(f"KILL {int(self._link.server_thread_id[0])}")  # noqa: SLF001 - one of us
        finally:
            other.close()

    def close(self) -> None:
        """Close it; never raises."""
        self._link._force_close()  # noqa: SLF001 - `close` would write first, and wait for it
        self.sock.close()

    def _begin(self, call: Call, query: Query) -> None:
        try:
            if self._used:
                self._link._execute_command(_RESET_CONNECTION, b"")  # noqa: SLF001 - it has no method for this
                self._link._read_ok_packet()  # noqa: SLF001
                self._do("SET NAMES utf8mb4")
        except _errors() as error:
            if call.way.deadline.over:
                raise _verdict(error) from None
            raise Stale from None
        seconds = call.way.deadline.remaining()
        limit = seconds - min(_EARLIER_SECONDS, seconds / 10)
        mariadb = "mariadb" in self._link.get_server_info().lower()
        own = (
            f"max_statement_time = {limit:.3f}"
            if mariadb
            else f"max_execution_time = {int(limit * 1000) or 1}"
        )
        # A change runs to its end, whatever is kept of its answer; the limit would count for a read inside it.
        select = "DEFAULT" if query.write else str(query.max_rows + 1)
        self._do(
            f"SET SESSION time_zone = '+00:00', {own}, innodb_lock_wait_timeout = {int(seconds) + 1}, "
            f"lock_wait_timeout = {int(seconds) + 1}, sql_select_limit = {select}"
        )
        self._do(f"START TRANSACTION {'READ WRITE' if query.write else 'READ ONLY'}")

    def _execute(self, call: Call, query: Query, rows: Rows) -> None:
        statement = query.statement
        values = [f"@hub_{at} = {_literal(query.values[name])}" for at, name in enumerate(statement.names)]
        self._do("SET " + ", ".join([f"@hub_sql = {_literal(statement.text)}", *values]))
        self._do("PREPARE hub_statement FROM @hub_sql")
        places = [f"@hub_{statement.names.index(name)}" for name in statement.slots]
        using = f" USING {', '.join(places)}" if places else ""
        call.way.trace.phase = Phase.WAIT
        self._link.query(f"EXECUTE hub_statement{using}", unbuffered=True)
        described = False
        while True:
            result = self._link._result  # noqa: SLF001 - as pymysql's own cursors do
            if result.description is None:
                if not described:
                    rows.changed = result.affected_rows
                if result.insert_id:
                    rows.more["last_insert_id"] = result.insert_id
            else:
                # A procedure may answer with several tables; the first one counts.
                self._read(result, rows, keep=not described, whole=query.write)
                described = True
            if self._left or not result.has_next:
                return
            self._link.next_result(unbuffered=True)

    def _read(self, result: Any, rows: Rows, *, keep: bool, whole: bool) -> None:
        if keep:
            rows.name([column[0] for column in result.description])
        try:
            while (row := result._read_rowdata_packet_unbuffered()) is not None:  # noqa: SLF001
                if rows.truncated and not whole:
                    # The server stops one row after the last that is kept, unless the statement has its own LIMIT.
                    self._left = True
                    return
                if keep:
                    rows.add([_json_value(value) for value in row])
        finally:
            # Or it would go on reading when it is collected.
            result.unbuffered_active = False

    def _do(self, sql: str) -> None:
        self._link.query(sql)


@lru_cache(maxsize=1)
def _driver() -> Callable[..., Any]:
    """The connection of pymysql, made at first use since the package is optional."""
    from pymysql.connections import Connection
    from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

    class Guarded(Connection):  # type: ignore[misc,unused-ignore]
        room = 1_048_576
        columns = 0

        def _read_packet(self, packet_type: Any = MysqlPacket) -> Any:
            # Descriptions of columns come one after the other, as many as the server says that there are.
            self.columns = self.columns + 1 if packet_type is FieldDescriptorPacket else 0
            if self.columns > _MAX_COLUMNS:
                raise Verdict(ErrorClass.PROTOCOL, f"The answer has more than {_MAX_COLUMNS} columns.")
            return super()._read_packet(packet_type)  # type: ignore[misc,no-untyped-call,unused-ignore]

        def _read_bytes(self, num_bytes: int) -> Any:
            if num_bytes > self.room:
                raise Verdict(ErrorClass.TOO_LARGE, f"A part of the answer is longer than {self.room} bytes.")
            return super()._read_bytes(num_bytes)  # type: ignore[misc,unused-ignore]

        def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
            if plugin_name in {b"mysql_clear_password", b"dialog"} and not self._secure:  # type: ignore[attr-defined]
                raise Verdict(
                    ErrorClass.TLS,
                    "The server asks for the password in the clear, which only TLS allows.",
                )
            return super()._process_auth(plugin_name, auth_packet)  # type: ignore[misc,unused-ignore]

    return Guarded


@lru_cache(maxsize=1)
def _errors() -> type[Exception]:
    from pymysql.err import Error

    return Error


@contextmanager
def _strictly() -> Iterator[None]:
    """Errors of pymysql as verdicts, or as the network faults that they were made of."""
    try:
        yield
    except _errors() as error:
        raise _verdict(error) from None
    except (ValueError, IndexError, AssertionError, RuntimeError, TypeError) as error:
        if type(error).__module__ != "builtins" and not isinstance(error, ValueError):
            raise
        raise Verdict(ErrorClass.PROTOCOL, "The answer is not valid MySQL.") from None


def _verdict(error: Exception) -> Verdict:
    """What an error of pymysql means.

    Raises:
        OSError: it is one of the connection.
    """
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    cause = getattr(error, "original_exception", None) or error.__context__
    if type(error).__name__ == "InternalError" and not number:  # packets out of order
        return Verdict(ErrorClass.PROTOCOL, "The answer is not valid MySQL.")
    if number in _LOST or not number:
        if isinstance(cause, OSError):
            raise cause
        raise ConnectionResetError("closed by the other side")
    if number == _NO_TLS:
        return no_tls()
    if number >= 2000 and number < 3000:
        return Verdict(ErrorClass.PROTOCOL, f"The answer is not valid MySQL ({number}).")
    sqlstate = getattr(error, "sqlstate", None) or "HY000"
    if number in _UNAUTHORIZED:
        error_class = ErrorClass.UNAUTHORIZED
    elif number in _BUSY:
        error_class = ErrorClass.PROVIDER_BUSY
    elif number in _TIMEOUT:
        error_class = ErrorClass.TIMEOUT
    else:
        error_class = sqlstates.classify(sqlstate)
    details: dict[str, str | int] = {"sqlstate": sqlstate, "number": number, "message": text}
    return sqlstates.error(error_class, f"MySQL: {text} ({number}, {sqlstate}).", sqlstate, details)


def unfit(value: Any) -> str | None:
    """Why a value cannot be sent; None when it can."""
    if isinstance(value, list):
        return "is a list, which MySQL has not"
    if isinstance(value, datetime):
        try:
            _text(value)
        except OverflowError:
            return "is outside of the years 1 to 9999 in UTC"
    return None


def _literal(value: Any) -> str:  # noqa: PLR0911 - one line a type
    """A value as a literal in which no character of it means anything."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value!r}e0" if "e" not in repr(value) else repr(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return f"CONVERT(X'{_text(value).encode().hex()}' USING utf8mb4)"


def _text(value: Any) -> str:
    if isinstance(value, Json):
        return value.text
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return str(value.isoformat(sep=" "))
    return f"{value}"  # a date too


def _json_value(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


@lru_cache(maxsize=1)
def _readers() -> dict[int, Callable[[Any], Any]]:
    from pymysql.constants import FIELD_TYPE as T

    integers: Sequence[int] = (T.TINY, T.SHORT, T.LONG, T.LONGLONG, T.INT24, T.YEAR)
    return {
        **dict.fromkeys(integers, int),
        T.FLOAT: float,
        T.DOUBLE: float,
        T.BIT: lambda data: int.from_bytes(data, "big"),
        T.DATETIME: lambda text: text.replace(" ", "T"),
        T.TIMESTAMP: lambda text: text.replace(" ", "T") + "+00:00",
        T.JSON: json_value,
    }
