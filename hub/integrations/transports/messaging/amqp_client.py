"""AMQP 0-9-1 (RabbitMQ and its kin) through py-amqp, over a guarded socket.

Why not kombu: it connects inside its transports, from pools of the whole process, to addresses that it resolves itself,
so nothing could prove where its bytes go. py-amqp, below it, asks one method for its connection.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.dialled import Verdict
from hub.integrations.transports.messaging.amqp_connection import connection_class
from hub.integrations.transports.messaging.message import BoundedSocket, Inbox, write
from hub.net.outcome import ErrorClass, safe_text
from hub.net.sockets import is_quiet
from hub.net.trace import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.core.secret import Secret
    from hub.integrations.transports.dialled import Way
    from hub.integrations.transports.messaging.tasks import Task
    from hub.net.sockets import PlainSocket

PORT, TLS_PORT = 5672, 5671

_LOGIN_REFUSED = 403
# AMQP 0-9-1, 1.2: resource-error, connection-forced, resource-locked, no-consumers.
_BUSY = frozenset({313, 320, 405, 506})
_QUIET_SECONDS = 0.2


class AmqpSession:
    """One connection, logged in.

    Args:
        link: py-amqp's connection.
        sock: what it reads from.
        bounded: the same, with a bound for each call.
    """

    def __init__(self, link: Any, sock: PlainSocket, bounded: BoundedSocket) -> None:
        self.link = link
        self.sock = sock
        self._bounded = bounded

    @classmethod
    def open(
        cls, way: Way, username: str, password: Secret | None, virtual_host: str, max_bytes: int
    ) -> AmqpSession:
        """Connect and log in; without a password by the client certificate."""
        sock = way.dial()
        if way.context is not None:
            sock = way.wrap_socket(sock)
        way.trace.phase = Phase.WAIT
        bounded = BoundedSocket(sock, max_bytes)
        login = (
            {"login_method": "EXTERNAL"}
            if password is None
            else {"login_method": "PLAIN", "userid": username, "password": password.reveal()}
        )
        link = connection_class()(
            bounded,
            host=f"{way.host}:{way.port}",
            virtual_host=virtual_host,
            heartbeat=0,
            confirm_publish=True,
            client_properties={"product": "integration-hub", "information": "", "platform": ""},
            **login,
        )
        try:
            with _asking(login=True):
                link.connect()
        except BaseException:
            sock.close()
            raise
        return cls(link, sock, bounded)

    @property
    def reusable(self) -> bool:
        """Open, idle and in step."""
        return bool(self.link.connected) and self.sock.fileno() >= 0 and is_quiet(self.sock)

    def close(self) -> None:
        """Close it; never raises."""
        with contextlib.suppress(Exception):
            self.link.collect()
        self.sock.close()

    def check(self, max_bytes: int) -> None:
        """Prove that it is of use."""
        with self.channel(max_bytes) as channel:
            channel.close()

    @contextlib.contextmanager
    def channel(self, max_bytes: int) -> Iterator[Any]:
        """A channel for one call. What was done in it is done, whatever becomes of its closing."""
        from amqp import exceptions  # noqa: PLC0415

        self._bounded.renew(max_bytes)
        with _asking():
            channel = self.link.channel()
            try:
                yield channel
            except (exceptions.ChannelError, exceptions.MessageNacked):
                # The connection will be kept. After an error py-amqp opens the channel anew, and it would stay open.
                self._end(channel)
                raise
        self._end(channel)

    def _end(self, channel: Any) -> None:
        try:
            channel.close()
        except Exception:  # noqa: BLE001 - whatever it is, this connection is of no more use
            self.close()


def publish(session: AmqpSession, task: Task, way: Way, max_bytes: int) -> bytes:
    """Give the broker a message; with `confirm` it has to say that it has it, and where to."""
    from amqp import Message as AmqpMessage  # noqa: PLC0415 - only for who uses it

    form, message = task.form, task.message
    exchange, key = ("", task.place) if form.queue is not None else (task.place, task.routing_key)
    properties: dict[str, Any] = {"delivery_mode": 2 if form.persistent else 1}
    if message.content_type:
        properties["content_type"] = message.content_type
    if message.headers:
        properties["application_headers"] = dict(message.headers)
    if task.idempotency_key:
        properties["message_id"] = task.idempotency_key
    returned: list[tuple[int, str]] = []
    with session.channel(max_bytes) as channel:
        channel.events["basic_return"].add(
            lambda error, *_: returned.append((int(getattr(error, "reply_code", 312)), str(error)))
        )
        send = channel.basic_publish_confirm if form.confirm else channel._basic_publish  # noqa: SLF001
        if form.confirm:
            way.trace.phase = Phase.WAIT
        with _sent():
            send(AmqpMessage(message.body, **properties), exchange, key or "", mandatory=form.confirm)
            if not form.confirm:
                # The one sign that the broker has read it.
                channel.close()
    if returned:
        raise Verdict(
            ErrorClass.PROVIDER_ERROR,
            "The broker has no queue for this message, and did not take it.",
            headers={"amqp-code": str(returned[0][0])},
            details={"code": returned[0][0], "message": safe_text(returned[0][1])},
        )
    return write({"exchange": exchange, "routing_key": key, "confirmed": form.confirm})


def consume(session: AmqpSession, task: Task, way: Way, max_bytes: int) -> bytes:
    """Take messages from a queue; what is not in the answer stays there."""
    form = task.form
    inbox = Inbox(form.count, max_bytes)
    ends = time.monotonic() + form.wait_seconds
    taken, arrived = 0, list[Any]()
    with session.channel(max_bytes) as channel:
        channel.basic_qos(0, form.count, False)
        channel.basic_consume(task.place, callback=arrived.append)
        way.trace.phase = Phase.WAIT
        while inbox.missing:
            left = (ends if not len(inbox) else time.monotonic() + _QUIET_SECONDS) - time.monotonic()
            left = min(left, max(way.deadline.remaining() - _QUIET_SECONDS, 0))
            try:
                session.link.drain_events(timeout=max(left, 0.01))
            except TimeoutError:
                break
            if not all(_take(inbox, message) for message in arrived[taken : form.count]):
                break
            taken = len(inbox)
        if len(inbox) and form.ack:
            channel.basic_ack(arrived[len(inbox) - 1].delivery_tag, multiple=True)
        elif not len(inbox):
            # Nothing is an answer only of a broker that still answers.
            channel.close()
    # What is left goes back to the queue when its channel closes.
    return inbox.body()


def _take(inbox: Inbox, message: Any) -> bool:
    properties, info = message.properties, message.delivery_info
    headers = {
        str(name): _plain(value) for name, value in (properties.get("application_headers") or {}).items()
    }
    body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
    return inbox.add(
        body,
        properties.get("content_type"),
        id=properties.get("message_id"),
        headers=headers or None,
        exchange=info.get("exchange"),
        routing_key=info.get("routing_key"),
        redelivered=bool(info.get("redelivered")) or None,
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


@contextlib.contextmanager
def _asking(*, login: bool = False) -> Iterator[None]:
    """py-amqp's errors as verdicts."""
    from amqp import exceptions  # noqa: PLC0415

    try:
        yield
    except exceptions.MessageNacked:
        raise Verdict(ErrorClass.PROVIDER_BUSY, "The broker did not take the message.") from None
    except exceptions.AMQPError as error:
        code = _code_of(error)
        if login and code in {_LOGIN_REFUSED, 530}:
            raise Verdict(ErrorClass.UNAUTHORIZED, "The broker refused the login.") from None
        if not code or code == 501:
            raise Verdict(ErrorClass.PROTOCOL, "The answer is not valid AMQP.") from None
        error_class = ErrorClass.PROVIDER_BUSY if code in _BUSY else ErrorClass.PROVIDER_ERROR
        raise _verdict(error, error_class) from None
    except (OSError, Verdict):
        raise
    except Exception:  # noqa: BLE001 - py-amqp raises anything for a stranger's bytes
        raise Verdict(ErrorClass.PROTOCOL, "The answer is not valid AMQP.") from None


@contextlib.contextmanager
def _sent() -> Iterator[None]:
    """A broker that ends the connection while it has a message may have taken it."""
    from amqp import exceptions  # noqa: PLC0415

    try:
        yield
    except exceptions.ConnectionError as error:
        if _code_of(error) in _BUSY:
            raise _verdict(error, ErrorClass.RESET) from None
        raise


def _code_of(error: Any) -> int:
    return int(getattr(error, "reply_code", 0) or getattr(error, "code", 0) or 0)


def _verdict(error: Any, error_class: ErrorClass) -> Verdict:
    code, text = _code_of(error), safe_text(str(getattr(error, "reply_text", "") or error), 200).rstrip(".")
    return Verdict(
        error_class,
        f"AMQP: {text} ({code}).",
        headers={"amqp-code": str(code)},
        details={"code": code, "message": text},
    )
