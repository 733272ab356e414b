"""MQTT 3.1.1 through paho-mqtt, over a guarded socket.

paho's own loop waits with select(2), which fails in a process with more than 1,024 open files, so its reading and
writing halves are called from here.

A session is kept for one filter alone (its client id has a mark of it): messages of another one would fill the broker's
window of unacknowledged ones. It takes no message with QoS 2: paho takes that over before it is known whether there is
room for it, and the broker would not send it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import select
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from hub.integrations.transports.dialled import Verdict
from hub.integrations.transports.messaging.message import BoundedSocket, Inbox, write
from hub.net.cancellation import Cancelled
from hub.net.outcome import ErrorClass
from hub.net.trace import Phase

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from hub.core.secret import Secret
    from hub.integrations.transports.dialled import Way
    from hub.integrations.transports.messaging.tasks import Task

PORT, TLS_PORT = 1883, 8883

_KEEPALIVE_SECONDS = 60
_PROTOCOL_ERROR = 2  # paho's MQTT_ERR_PROTOCOL
_QUIET_SECONDS = 0.2
_STEP_SECONDS = 1.0
# MQTT 3.1.1, 3.2.2.3, in paho's numbers of MQTT 5.
_REFUSED = frozenset({0x85, 0x86, 0x87, 0x8C})
_BUSY = frozenset({0x88, 0x89, 0x97, 0x9F})


class MqttClient:
    """One connection, for one call.

    Args:
        way: where to.
        username: who logs in; empty for nobody.
        password: of that user.
        session: the client id of a session that the broker keeps (`client_id`); None for one that ends with the call.
        max_bytes: of the answer.
    """

    def __init__(
        self, way: Way, username: str, password: Secret | None, session: str | None, max_bytes: int
    ) -> None:
        self._way = way
        self._inbox: Inbox | None = None
        self._left = False
        self._ack = False
        self._filter = ""
        self._reason: int | None = None
        self._granted: list[int] | None = None
        self._client = _client_class()(way, max_bytes, session)
        if username:
            self._client.username_pw_set(username, None if password is None else password.reveal())
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._arrived

    def __enter__(self) -> Self:
        way = self._way
        try:
            self._client.connect(way.host, way.port, keepalive=_KEEPALIVE_SECONDS)
            way.trace.phase = Phase.WAIT
            self._run(lambda: self._reason is not None)
            if self._reason:
                raise _refused(self._reason)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            with contextlib.suppress(Exception):
                self._client.disconnect()  # or the broker takes the end for an accident
                self._step(0)
        self._close()

    def publish(self, task: Task) -> bytes:
        """Give the broker a message, as surely as `qos` says."""
        form = task.form
        info = self._client.publish(task.place, task.message.body, qos=form.qos, retain=form.retain)

        def published() -> bool:
            try:
                return bool(info.is_published())
            except RuntimeError:  # so paho says that the connection ended while it was writing
                raise _closed() from None

        self._run(published)
        return write({"topic": task.place, "qos": form.qos})

    def consume(self, task: Task, max_bytes: int) -> bytes:
        """Take messages of a topic that come, or wait in the session."""
        form = task.form
        self._inbox = inbox = Inbox(form.count, max_bytes)
        self._ack = form.ack
        # A shared subscription has its group before the filter.
        self._filter = re.sub(r"^\$share/[^/]+/", "", task.place)
        self._client.manual_ack_set(True)
        ends = time.monotonic() + form.wait_seconds
        self._client.subscribe(task.place, qos=form.qos if form.session is None else min(form.qos, 1))
        self._run(lambda: self._granted is not None)
        if any(code >= 0x80 for code in self._granted or [0x80]):
            raise Verdict(ErrorClass.PROVIDER_ERROR, "The broker refused the subscription.")
        try:
            self._fill(inbox, ends)
        except (OSError, Verdict, Cancelled):
            # What was acknowledged is nowhere else any more.
            if not (form.ack and len(inbox)):
                raise
        return inbox.body()

    def _fill(self, inbox: Inbox, ends: float) -> None:
        while inbox.missing and not self._left:
            before = len(inbox)
            until = ends if not before else time.monotonic() + _QUIET_SECONDS
            until = min(until, time.monotonic() + max(self._way.deadline.remaining() - _QUIET_SECONDS, 0))
            self._run(lambda before=before: len(inbox) > before or self._left, until)  # type: ignore[misc]
            if len(inbox) == before:
                break
        if self._client.halfway and time.monotonic() < ends:
            raise TimeoutError("the call's time is over")

    def _run(self, done: Callable[[], object], until: float | None = None) -> None:
        """Read and write until it is done, or that moment has come."""
        while not done():
            left = _STEP_SECONDS if until is None else until - time.monotonic()
            if left <= 0:
                return
            self._way.deadline.remaining()
            self._step(min(left, _STEP_SECONDS))

    def _step(self, seconds: float) -> None:
        client = self._client
        sock = client.socket()
        if sock is None:
            raise _closed()
        wanted = select.POLLIN | (select.POLLOUT if client.want_write() else 0)
        poller = select.poll()
        poller.register(sock.fileno(), wanted)
        pending = getattr(sock, "pending", lambda: 0)()
        left = min(seconds, self._way.deadline.remaining())
        events = poller.poll(0 if pending else left * 1000 + 1)
        found = events[0][1] if events else 0
        lost = 0
        try:
            if found & ~select.POLLOUT or pending:
                lost = client.loop_read()
            if client.want_write():
                lost = lost or client.loop_write()
            lost = lost or client.loop_misc()
        except (ValueError, IndexError, TypeError, KeyError, ArithmeticError):
            raise Verdict(ErrorClass.PROTOCOL, "The answer is not valid MQTT.") from None
        if lost == _PROTOCOL_ERROR or (lost and self._reason is None and client.garbled):
            raise Verdict(ErrorClass.PROTOCOL, "The answer is not valid MQTT.")
        if lost and not self._reason:
            raise _closed()

    def _connected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._reason = int(reason.value)

    def _subscribed(self, _client: Any, _data: Any, _number: int, reasons: Any, _properties: Any) -> None:
        self._granted = [int(reason.value) for reason in reasons]

    def _arrived(self, client: Any, _data: Any, message: Any) -> None:
        inbox = self._inbox
        if inbox is None or self._left or not inbox.missing:
            return
        if not client.wants(self._filter, message.topic):
            client.ack(message.mid, message.qos)  # nobody else will want it
            return
        if not inbox.add(message.payload, None, topic=message.topic, retained=message.retain or None):
            self._left = True
            return
        if self._ack:
            client.ack(message.mid, message.qos)

    def _close(self) -> None:
        self._client.drop()


def client_id(session: str, topic_filter: str) -> str:
    """The name under which a broker keeps a session.

    Args:
        session: of the operation.
        topic_filter: that it subscribes to.
    """
    return f"{session}-{hashlib.sha256(topic_filter.encode()).hexdigest()[:12]}"


def _closed() -> ConnectionResetError:
    return ConnectionResetError("closed by the other side")


def _refused(reason: int) -> Verdict:
    if reason in _REFUSED:
        return Verdict(ErrorClass.UNAUTHORIZED, "The broker refused the login.")
    error_class = ErrorClass.PROVIDER_BUSY if reason in _BUSY else ErrorClass.PROVIDER_ERROR
    return Verdict(
        error_class, f"The broker refused the connection ({reason}).", headers={"mqtt-code": str(reason)}
    )


@lru_cache(maxsize=1)
def _client_class() -> Any:
    """Paho's client, on a guarded socket; made at first use since the package is optional."""
    from paho.mqtt import client as paho  # noqa: PLC0415
    from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

    class Guarded(paho.Client):  # type: ignore[misc,unused-ignore]
        def __init__(self, way: Way, max_bytes: int, session: str | None) -> None:
            super().__init__(
                CallbackAPIVersion.VERSION2,
                # One of our own: not every broker makes one up, or keeps those that it made up apart.
                client_id=session or f"hub-{secrets.token_hex(9)}",
                clean_session=session is None,
                protocol=paho.MQTTv311,
                reconnect_on_failure=False,
            )
            self._way = way
            self._max_bytes = max_bytes
            self._guarded: Any = None
            self.suppress_exceptions = False

        @property
        def garbled(self) -> bool:
            """Something came that was not even an answer to the connection."""
            return bool(self._guarded is not None and self._guarded.heard)

        def _create_socket(self) -> Any:
            sock = self._way.dial()
            if self._way.context is not None:
                sock = self._way.wrap_socket(sock)
            self._guarded = BoundedSocket(sock, self._max_bytes)
            return self._guarded

        @property
        def halfway(self) -> bool:
            """A part of a packet has come."""
            return bool(self._in_packet["command"])

        def wants(self, topic_filter: str, topic: str) -> bool:
            """Whether it was subscribed to; brokers have sent retained messages of others."""
            return bool(paho.topic_matches_sub(topic_filter, topic))

        def drop(self) -> None:
            """Close the connection."""
            if self._guarded is not None:
                self._guarded.close()

    return Guarded
