"""The database transport: one statement a call, for PostgreSQL and MySQL.

Promises: values never become SQL text of ours; `read` runs in a read-only transaction, so that the server itself
refuses changes; a `write` whose answer is too long is rolled back, so that `too_large` means not done; the server
ends a statement whose call is over; connections that are kept belong to one integration and login.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from hub.core.errors import FieldError, Invalid
from hub.integrations.extras import lack_of
from hub.integrations.transports.database import address as addresses
from hub.integrations.transports.database import mysql, parameters, postgresql, statement
from hub.integrations.transports.database.address import Login
from hub.integrations.transports.database.call import Call, Query, Session, Stale, in_background
from hub.integrations.transports.database.forms import DatabaseOperation, DatabaseSettings
from hub.integrations.transports.database.rows import Rows
from hub.integrations.transports.database.statement import Statement
from hub.integrations.transports.dialled import Idle, Verdict, Way, concluded, tls_for
from hub.integrations.transports.inputs import operation_of
from hub.integrations.transports.interface import Prepared, Transport
from hub.net.outcome import ErrorClass
from hub.net.sockets import Deadline
from hub.net.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

_PORTS = {"postgresql": postgresql.PORT, "mysql": mysql.PORT}
_PROBE = Statement("select", "SELECT 1", ())
# A call that ended so may still be running on the server.
_GIVEN_UP = frozenset({ErrorClass.TIMEOUT, ErrorClass.CANCELLED, ErrorClass.TOO_LARGE})


class DatabaseTransport(Transport):
    """PostgreSQL and MySQL (MariaDB too)."""

    name = "database"
    schemes: ClassVar[Mapping[str, int]] = _PORTS
    auth_modes = frozenset({"basic", "mtls", "none"})
    settings_form = DatabaseSettings
    operation_form = DatabaseOperation

    def settings_faults(self, settings: Any, base_url: str) -> list[FieldError]:
        """See `Transport`."""
        del settings
        scheme = base_url.partition(":")[0].lower()
        if scheme.startswith("sqlite"):
            return [
                FieldError(
                    "base_url",
                    "SQLite is a file of the machine that opens it and no service; use PostgreSQL or MySQL",
                )
            ]
        if scheme not in _PORTS:
            return []
        lack = lack_of("mysql") if scheme == "mysql" else None
        if lack is not None:
            return [FieldError("base_url", lack)]
        try:
            addresses.parse(base_url, _PORTS)
        except ValueError as error:
            return [FieldError("base_url", str(error))]
        return []

    def operation_faults(self, operation: Any, settings: Any, at: str) -> list[FieldError]:
        """See `Transport`. The address is not known here, so a statement of either dialect will do."""
        del settings
        write = operation.mode == "write"
        read, texts = statement.parse(operation.sql, "postgresql", write=write)
        if read is None:
            read, _ = statement.parse(operation.sql, "mysql", write=write)
        if read is None:
            return [FieldError(f"{at}.sql", text) for text in texts]
        faults = [
            FieldError(f"{at}.parameters.{name}", "does not appear in the statement")
            for name in operation.parameters.keys() - set(read.names)
        ]
        for name, parameter in operation.parameters.items():
            if parameter.default is not None:
                try:
                    parameters.convert(parameter.default, parameter.type)
                except ValueError as error:
                    faults.append(FieldError(f"{at}.parameters.{name}.default", str(error)))
        return sorted(faults, key=lambda fault: fault.path)

    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        """See `Transport`."""
        form: DatabaseOperation = operation_of(connection, operation)
        write = form.mode == "write"
        dialect: statement.Dialect = "mysql" if connection.base_url.startswith("mysql:") else "postgresql"
        read, texts = _parse(form.sql, dialect, write)
        if read is None:
            raise Invalid(
                f"The statement of {operation} {'; '.join(texts)}.",
                fields=tuple(FieldError("operation", text) for text in texts),
            )
        values, faults = parameters.read(read.names, form.parameters, given, field)
        if dialect == "mysql":
            faults += [
                FieldError(f"{field}.parameters.{name}", text)
                for name, value in values.items()
                if (text := mysql.unfit(value)) is not None
            ]
        if faults:
            raise Invalid.of(faults)
        sent = (given or {}).get("parameters", {})
        return Prepared(
            method=read.verb.upper(),
            endpoint=connection.base_url,
            headers={},
            payload={"sql": form.sql, "parameters": sent},
            safe=form.safe if form.safe is not None else not write,
            idempotent=form.idempotent if form.idempotent is not None else not write,
            wire=Query(read, values, write, form.max_rows),
        )

    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        """See `Transport`."""
        return self._call(session, connection, prepared.wire, credentials, caps)

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """Log in and `SELECT 1`."""
        return self._call(session, connection, Query(_PROBE, {}, write=False, max_rows=1), credentials, caps)

    def _call(
        self,
        session: GuardedSession,
        connection: Connection,
        query: Query,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        trace, deadline = Trace(), Deadline(caps.timeout)

        def work() -> bytes:
            login = _login(connection.settings, credentials)
            address = addresses.parse(connection.base_url, _PORTS)
            tls = connection.settings.tls
            way = Way(
                session.policy,
                address.host,
                address.port,
                _PORTS[address.scheme],
                tls_for(session, connection.tls, tls),
                deadline,
                caps.cancellation,
                trace,
            )
            key = ("database", connection.pool_key, address, login, tls, connection.tls)
            idle: Idle[Session] = Idle(session.pool, key)
            opening = mysql.open_session if address.scheme == "mysql" else postgresql.PostgresqlSession.open
            return _run(Call(way, address.database, login), query, idle, opening, caps.max_bytes)

        return concluded(work, trace, deadline, caps)


def _run(
    call: Call, query: Query, idle: Idle[Session], opening: Callable[[Call], Session], max_bytes: int
) -> bytes:
    rows = Rows(query.max_rows, max_bytes)
    kept = idle.take(call.way)
    if kept is not None:
        try:
            return _use(kept, call, query, rows, idle)
        except Stale:
            pass
    return _use(opening(call), call, query, rows, idle)


def _use(session: Session, call: Call, query: Query, rows: Rows, idle: Idle[Session]) -> bytes:
    try:
        body = session.run(call, query, rows)
    except Verdict as verdict:
        kept = "sqlstate" in verdict.headers and verdict.error_class not in _GIVEN_UP
        if kept and session.reusable:
            idle.give(session)
        else:
            _give_up(session, call)
        raise
    except Stale:
        session.close()
        raise
    except BaseException:
        _give_up(session, call)
        raise
    if session.reusable:
        idle.give(session)
    else:
        _give_up(session, call)
    return body


def _give_up(session: Session, call: Call) -> None:
    """Close a connection whose statement may still run, and have the server end it."""
    session.close()
    after = call.afterwards()
    in_background(lambda: session.end_statement(after))


def _login(settings: DatabaseSettings, credentials: Credentials) -> Login:
    if credentials.mode == "basic":
        username = str(credentials.parameters.get("username", ""))
        password = credentials.secrets.get("password")
        texts = username + (password.reveal() if password else "")
    else:
        username, password = settings.username or "", None
        texts = username
    if not username or "\0" in texts:
        raise Verdict(
            ErrorClass.UNAUTHORIZED,
            "There is no user to log in as; use auth.mode basic, or set settings.username.",
        )
    return Login(username, password)


@lru_cache(maxsize=1024)
def _parse(
    sql: str,
    dialect: statement.Dialect,
    write: bool,  # noqa: FBT001 - the key of the cache
) -> tuple[Statement | None, list[str]]:
    return statement.parse(sql, dialect, write=write)
