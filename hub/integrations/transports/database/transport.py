"""The database transport: one statement a call, for PostgreSQL and MySQL.

Promises: values never become SQL text of ours; `read` runs in a read-only transaction, so that the server itself
refuses changes; the server ends a statement whose call is over; connections that are kept belong to one integration
and login.
"""

from __future__ import annotations

import time
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, cast

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.database import address as addresses
from hub.integrations.transports.database import mysql, parameters, postgresql, statement
from hub.integrations.transports.database.address import Login
from hub.integrations.transports.database.call import Call, Query, Session, Stale, in_background
from hub.integrations.transports.database.forms import DatabaseOperation, DatabaseSettings
from hub.integrations.transports.database.rows import Rows
from hub.integrations.transports.database.statement import Statement
from hub.integrations.transports.database.verdict import Verdict
from hub.integrations.transports.interface import Prepared, Transport
from hub.net.faults import failure
from hub.net.identity import context as tls_context
from hub.net.outcome import ErrorClass, Outcome
from hub.net.sockets import Deadline
from hub.net.trace import Phase, Trace

if TYPE_CHECKING:
    import ssl
    from collections.abc import Hashable, Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.pool import ConnectionPool
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
        if scheme == "mysql" and find_spec("pymysql") is None:
            return [FieldError("base_url", "needs the package pymysql: install integration-hub[mysql]")]
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
        form: DatabaseOperation | None = connection.operations.get(operation)
        if form is None:
            known = ", ".join(sorted(connection.operations)) or "none"
            text = f"this integration has no such operation; it has {known}"
            raise Invalid(f"operation: {text}.", fields=(FieldError("operation", text),))
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
                FieldError(f"{field}.parameters.{name}", "is a list, which MySQL has not")
                for name, value in values.items()
                if isinstance(value, list)
            ]
        if faults:
            raise Invalid(
                "; ".join(f"{fault.path} {fault.message}" for fault in faults) + ".", fields=tuple(faults)
            )
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
        begun = time.perf_counter()
        trace, deadline = Trace(), Deadline(caps.timeout)
        try:
            login = _login(connection.settings, credentials)
            call = Call(
                session.policy,
                _context(session, connection, login),
                addresses.parse(connection.base_url, _PORTS),
                login,
                deadline,
                caps.cancellation,
                trace,
            )
            kept = _Kept(session.pool, ("database", connection.pool_key, call.address, login, connection.tls))
            body = _run(call, query, kept, caps.max_bytes)
        except Verdict as verdict:
            ours = caps.cancellation.cancelled or (deadline.over and verdict.error_class is ErrorClass.RESET)
            outcome = (
                failure(verdict, trace, deadline=deadline, cancellation=caps.cancellation)
                if ours
                else verdict.outcome(trace, caps.max_bytes)
            )
        except Exception as error:  # noqa: BLE001 - `send` never raises for what the outside does
            outcome = failure(error, trace, deadline=deadline, cancellation=caps.cancellation)
        else:
            headers = {"content-type": "application/json"}
            outcome = Outcome(None, None, headers=headers, body=body, timings=trace.timings, peer=trace.peer)
        outcome.timings.total_ms = (time.perf_counter() - begun) * 1000
        return outcome


class _Kept:
    """The idle connections of one integration and login.

    Args:
        pool: of everything that is idle; it closes them after a minute.
        key: what they are kept under.
    """

    def __init__(self, pool: ConnectionPool, key: Hashable) -> None:
        self._pool = pool
        self._key = key

    def take(self, call: Call) -> Session | None:
        """One that belongs to this call from now on, if there is one."""
        found = cast("Session | None", self._pool.take(self._key))
        if found is None:
            return None
        try:
            found.sock.under(call.deadline, call.cancellation)
            call.trace.peer = str(found.sock.getpeername()[0])
        except OSError:  # it ended meanwhile
            found.close()
            return None
        except BaseException:
            found.close()
            raise
        call.trace.phase = Phase.SEND
        return found

    def give(self, session: Session) -> None:
        """Keep one whose call is over."""
        if session.sock.release():
            session.sock.bound(None)
            self._pool.give(self._key, cast("Any", session))
        else:
            session.close()


def _run(call: Call, query: Query, idle: _Kept, max_bytes: int) -> bytes:
    rows = Rows(query.max_rows, max_bytes)
    kept = idle.take(call)
    if kept is not None:
        try:
            return _use(kept, call, query, rows, idle)
        except Stale:
            pass
    return _use(_open(call), call, query, rows, idle)


def _use(session: Session, call: Call, query: Query, rows: Rows, idle: _Kept) -> bytes:
    try:
        session.run(call, query, rows)
        body = rows.body()
    except Verdict as verdict:
        if verdict.error_class in _GIVEN_UP or not verdict.sqlstate:
            _give_up(session, call)
        else:
            idle.give(session)
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


def _open(call: Call) -> Session:
    try:
        if call.address.scheme == "mysql":
            return mysql.open_session(call)
        return postgresql.PostgresqlSession.open(call)
    except Stale as stale:
        raise stale.__cause__ or ConnectionResetError from None


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
    return Login(username, password, settings.tls)


def _context(session: GuardedSession, connection: Connection, login: Login) -> ssl.SSLContext | None:
    if login.tls == "disable":
        return None
    if login.tls == "require":
        return _unverified()
    # Not the session's own context: it offers HTTP by ALPN, at which PostgreSQL 17 and newer end the handshake.
    return tls_context(connection.tls, default_ca=session._ca_file)  # noqa: SLF001


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    import ssl as ssl_  # noqa: PLC0415

    from hub.net.sockets import TlsContext  # noqa: PLC0415

    made = TlsContext(ssl_.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl_.TLSVersion.TLSv1_2
    made.check_hostname = False
    made.verify_mode = ssl_.CERT_NONE
    return made


@lru_cache(maxsize=1024)
def _parse(
    sql: str,
    dialect: statement.Dialect,
    write: bool,  # noqa: FBT001 - the key of the cache
) -> tuple[Statement | None, list[str]]:
    return statement.parse(sql, dialect, write=write)
