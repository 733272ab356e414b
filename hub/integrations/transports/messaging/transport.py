"""The messaging transport: publish to or consume from a broker, or send a mail.

Promises: a consumed message that is not in the answer stays where it was (but for MQTT without a session, and when the
hub dies between taking it away and answering); what was taken away is answered, whatever the connection does then; a
message is confirmed as far as its protocol can. Connections to AMQP and Redis are kept for a minute, for one
integration and login; MQTT and SMTP begin anew with each call. The trace context of a call is sent on as the header
`traceparent` of AMQP messages and mails, and as a field of the entries of streams; entries that are given as `fields`,
Redis lists and channels, and MQTT 3.1.1 have no place for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.dialled import Idle, Tls, Verdict, Way, concluded, tls_for
from hub.integrations.transports.interface import Prepared, Transport
from hub.integrations.transports.messaging import (
    amqp_client,
    mail,
    mqtt_client,
    redis_client,
    redis_consuming,
    smtp,
)
from hub.integrations.transports.messaging.amqp_client import AmqpSession
from hub.integrations.transports.messaging.forms import MessagingOperation, MessagingSettings
from hub.integrations.transports.messaging.redis_client import RedisSession
from hub.integrations.transports.messaging.tasks import Task, task_of, traced, traceparent_of
from hub.net.outcome import ErrorClass
from hub.net.sockets import Deadline
from hub.net.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hub.core.secret import Secret
    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

_PORTS = {
    "amqp": amqp_client.PORT,
    "amqps": amqp_client.TLS_PORT,
    "redis": redis_client.PORT,
    "rediss": redis_client.PORT,
    "mqtt": mqtt_client.PORT,
    "mqtts": mqtt_client.TLS_PORT,
    "smtp": smtp.PORT,
    "smtps": smtp.TLS_PORT,
}
_TLS = frozenset({"amqps", "rediss", "mqtts", "smtps"})
_PLACES = ("queue", "exchange", "topic", "stream", "list", "channel")
_OF = {
    "amqp": frozenset({"queue", "exchange"}),
    "redis": frozenset({"stream", "list", "channel"}),
    "mqtt": frozenset({"topic"}),
    "smtp": frozenset[str](),
}
_CONSUMED = frozenset({"queue", "topic", "stream", "list"})


class MessagingTransport(Transport):
    """AMQP, Redis, MQTT and SMTP."""

    name = "messaging"
    schemes: ClassVar[Mapping[str, int]] = _PORTS
    auth_modes = frozenset({"basic", "mtls", "none"})
    settings_form = MessagingSettings
    operation_form = MessagingOperation

    def settings_faults(self, settings: Any, base_url: str) -> list[FieldError]:
        """See `Transport`."""
        parts = urlsplit(base_url)
        faults = []
        protocol, path = _protocol(parts.scheme), unquote(parts.path.removeprefix("/"))
        if protocol == "mqtt" and find_spec("paho") is None:
            faults.append(
                FieldError("base_url", "needs the package paho-mqtt: install integration-hub[mqtt]")
            )
        if protocol == "redis" and path and not (path.isdigit() and int(path) < 1024):
            faults.append(
                FieldError("base_url", "must end with the number of the database, such as /0, or nothing")
            )
        if protocol in {"mqtt", "smtp"} and path:
            faults.append(FieldError("base_url", f"must have no path; {protocol.upper()} has none"))
        if protocol == "amqp" and (len(path) > 255 or not (path or "x").isprintable()):
            faults.append(FieldError("base_url", "must end with the name of one virtual host, or nothing"))
        if settings.tls == "disable" and parts.scheme != "smtp":
            faults.append(
                FieldError("settings.tls", "is to be left out; the scheme says whether there is TLS")
            )
        if settings.helo is not None and protocol != "smtp":
            faults.append(FieldError("settings.helo", "is for SMTP alone"))
        return faults

    def operation_faults(self, operation: Any, settings: Any, at: str) -> list[FieldError]:
        """See `Transport`. The address is not known here, so what fits one of the protocols will do."""
        del settings
        form: MessagingOperation = operation
        given = [name for name in _PLACES if getattr(form, name) is not None]
        faults = []
        if form.action == "send":
            faults += [FieldError(f"{at}.{name}", "is not for mail") for name in given]
            mail_faults: list[FieldError] = []
            mail.read(
                form, {"to": "a@b.example", "from": form.sender or "a@b.example", "text": ""}, at, mail_faults
            )
            faults += mail_faults
        elif len(given) != 1:
            faults.append(FieldError(at, f"must have one of {', '.join(_PLACES)}"))
        elif form.action == "consume" and given[0] not in _CONSUMED:
            faults.append(
                FieldError(
                    f"{at}.{given[0]}", "is for publish; consume takes from a queue, topic, stream or list"
                )
            )
        if form.exchange and form.routing_key is None:
            faults.append(FieldError(f"{at}.routing_key", "is required with an exchange"))
        if form.routing_key is not None and form.exchange is None:
            faults.append(FieldError(f"{at}.exchange", "is required with a routing key"))
        if form.group is not None and (form.stream is None or form.action != "consume"):
            faults.append(FieldError(f"{at}.group", "is for consuming a stream"))
        if form.session is not None and (form.topic is None or form.action != "consume"):
            faults.append(FieldError(f"{at}.session", "is for consuming a topic"))
        if form.topic is not None and form.action == "publish" and set("+#") & set(form.topic):
            faults.append(FieldError(f"{at}.topic", "must not have + or #, which are for consuming"))
        if form.safe and (form.action != "consume" or form.ack):
            faults.append(FieldError(f"{at}.safe", f"{form.action} changes something"))
        return faults

    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        """See `Transport`.

        The input of publish has `parameters`, `headers` and one of `json`, `text`, `base64`, `fields`; that of consume
        `parameters` and `after`; that of send is the mail.
        """
        form: MessagingOperation | None = connection.operations.get(operation)
        if form is None:
            known = ", ".join(sorted(connection.operations)) or "none"
            raise _invalid(
                [FieldError("operation", f"this integration has no such operation; it has {known}")]
            )
        faults: list[FieldError] = []
        input_ = {} if given is None else given
        if not isinstance(input_, dict):
            raise _invalid([FieldError(field, "must be an object")])
        protocol = _protocol(urlsplit(connection.base_url).scheme)
        place = next((name for name in _PLACES if getattr(form, name) is not None), None)
        if (form.action == "send") != (protocol == "smtp") or (
            place is not None and place not in _OF[protocol]
        ):
            raise _invalid([FieldError("operation", f"{operation} is not for {protocol.upper()}")])
        task = task_of(form, place, input_, field, faults)
        if faults:
            raise _invalid(faults)
        safe = form.action == "consume" and not form.ack
        return Prepared(
            method=form.action,
            endpoint=f"{connection.base_url}/{task.place}".rstrip("/"),
            headers=task.message.headers,
            payload=_payload(task, input_),
            safe=safe if form.safe is None else form.safe,
            idempotent=safe if form.idempotent is None else form.idempotent,
            wire=task,
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
        return _call(
            session,
            connection,
            replace(prepared.wire, idempotency_key=caps.idempotency_key),
            credentials,
            caps,
        )

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """Log in."""
        return _call(session, connection, None, credentials, caps)


@dataclass(frozen=True, slots=True)
class _Login:
    username: str
    password: Secret | None


def _call(
    session: GuardedSession, connection: Connection, given: Task | None, credentials: Credentials, caps: Caps
) -> Outcome:
    trace, deadline = Trace(), Deadline(caps.timeout)

    def work() -> bytes:
        task = None if given is None else traced(given, traceparent_of(credentials))
        parts = urlsplit(connection.base_url)
        tls: Tls = connection.settings.tls if parts.scheme in {*_TLS, "smtp"} else "disable"
        usual = _PORTS[parts.scheme]
        way = Way(
            session.policy,
            parts.hostname or "",
            parts.port or usual,
            usual,
            tls_for(session, connection.tls, tls),
            deadline,
            caps.cancellation,
            trace,
        )
        login = _login(credentials)
        path = unquote(parts.path.removeprefix("/"))
        key = ("messaging", connection.pool_key, connection.base_url, login, tls, connection.tls)
        match _protocol(parts.scheme):
            case "amqp":
                return _amqp(Idle(session.pool, key), way, login, path or "/", credentials.mode, task, caps)
            case "redis":
                return _redis(Idle(session.pool, key), way, login, int(path or 0), task, caps)
            case "mqtt":
                return _mqtt(way, login, task, caps)
            case _:
                return smtp.send(
                    way,
                    None if task is None else task.mail,
                    implicit=parts.scheme == "smtps",
                    username=login.username,
                    password=login.password,
                    helo=connection.settings.helo,
                    idempotency_key="" if task is None else task.idempotency_key,
                    now=datetime.now(UTC),
                )

    return concluded(work, trace, deadline, caps)


def _amqp(
    idle: Idle[AmqpSession],
    way: Way,
    login: _Login,
    virtual_host: str,
    mode: str,
    task: Task | None,
    caps: Caps,
) -> bytes:
    if login.password is None and mode != "mtls":
        raise Verdict(ErrorClass.UNAUTHORIZED, "AMQP needs a login; use auth.mode basic or mtls.")

    def work(session: AmqpSession) -> bytes:
        if task is None:
            session.check(caps.max_bytes)
            return b"{}"
        work = amqp_client.publish if task.form.action == "publish" else amqp_client.consume
        return work(session, task, way, caps.max_bytes)

    opening = lambda: AmqpSession.open(way, login.username, login.password, virtual_host, caps.max_bytes)  # noqa: E731
    return _on_kept(idle, way, opening, work, caps.max_bytes)


def _redis(
    idle: Idle[RedisSession], way: Way, login: _Login, database: int, task: Task | None, caps: Caps
) -> bytes:
    def work(session: RedisSession) -> bytes:
        if task is None:
            session.check(caps.max_bytes)
            return b"{}"
        if task.form.action == "publish":
            return redis_client.publish(session, task, caps.max_bytes)
        return redis_consuming.consume(session, task, way, caps.max_bytes)

    opening = lambda: RedisSession.open(way, login.username, login.password, database, caps.max_bytes)  # noqa: E731
    return _on_kept(idle, way, opening, work, caps.max_bytes)


def _mqtt(way: Way, login: _Login, task: Task | None, caps: Caps) -> bytes:
    session = None if task is None else task.form.session
    held = None if task is None or session is None else mqtt_client.client_id(session, task.place)
    with mqtt_client.MqttClient(way, login.username, login.password, held, caps.max_bytes) as client:
        if task is None:
            return b"{}"
        if task.form.action == "publish":
            return client.publish(task)
        return client.consume(task, caps.max_bytes)


def _on_kept(
    idle: Idle[Any], way: Way, opening: Callable[[], Any], work: Callable[[Any], bytes], max_bytes: int
) -> bytes:
    """Work on a kept connection that is still of use, or on a new one; keep it when it may be used again."""
    session: Any = idle.take(way)
    if session is not None:
        try:
            session.check(max_bytes)
        except (OSError, Verdict):
            session.close()
            session = None
            if way.deadline.over:
                raise
    if session is None:
        session = opening()
    try:
        body = work(session)
    except Verdict as verdict:
        if verdict.error_class in {ErrorClass.PROVIDER_ERROR, ErrorClass.PROVIDER_BUSY} and session.reusable:
            idle.give(session)
        else:
            session.close()
        raise
    except BaseException:
        session.close()
        raise
    if session.reusable:
        idle.give(session)
    else:
        session.close()
    return body


def _login(credentials: Credentials) -> _Login:
    if credentials.mode != "basic":
        return _Login("", None)
    return _Login(str(credentials.parameters.get("username") or ""), credentials.secrets.get("password"))


def _protocol(scheme: str) -> str:
    return scheme.removesuffix("s") if scheme in _TLS else scheme


def _payload(task: Task, given: dict[str, Any]) -> Any:
    """The message for people; files of a mail by their names."""
    if task.form.action == "consume":
        return None
    if task.mail is not None:
        files = [one.name for one in task.mail.attachments]
        return {**given, "attachments": files} if files else given
    return given


def _invalid(faults: list[FieldError]) -> Invalid:
    return Invalid.of(faults)
