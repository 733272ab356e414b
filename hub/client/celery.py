"""The broker door: publish and execute with nothing but the URL of the hub's Celery broker.

Promises: when a method returns, the broker has confirmed the message; a broker that is away or hangs raises
within a few seconds; a repeat with the same id or idempotency key is harmless. Input is checked here as far
as possible, because nobody waits for the worker's answer: what it refuses is found in the hub's rejected
messages.

What is sent are task messages of Celery's protocol, version 2, in JSON
(https://docs.celeryq.dev/en/stable/internals/protocol.html).
"""

# ruff: noqa: A002 - `type`, `id` and `input` are the fields' names

from __future__ import annotations

import os
import re
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID, uuid4

from kombu import Connection, Queue
from kombu.exceptions import KombuError
from pydantic import ValidationError

from hub.client.closing import Closing
from hub.client.encoding import TIMES, time_text, to_json
from hub.client.errors import BrokerUnavailable
from hub.core.errors import Invalid
from hub.core.ids import Kind, new_uuid, parse_id
from hub.queue.contracts import ROUTES, EventIn, Payload, PublishEvents, SubmitExecution, TaskName
from hub.queue.contracts import Queue as QueueName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from hub.client.results import EventInput

#: What may be said of an event beside its type, data and id; the hub judges it.
_OPTIONS = ("labels", "ordering_key", "deliver_at", "expires_at")
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_EVENT_ID = re.compile(r"[A-Za-z0-9_:\-]{1,128}")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_MAX_TYPE = 128
_MAX_DATA_BYTES = 1_048_576
#: Events and bytes of data in one message; a longer list becomes several messages.
_MAX_EVENTS = 500
_MAX_MESSAGE_BYTES = 1_048_576
_POOL = 8
_SCHEMES = ("redis", "rediss", "redis+socket", "unix", "amqp", "amqps", "pyamqp")
#: A broker within the process, for an application's own tests.
_IN_MEMORY = "memory"


class CeleryClient(Closing):
    """Publishes for one tenant. Safe for any number of threads, and across a fork.

    Args:
        broker_url: the hub's broker: `redis://`, `rediss://`, `redis+socket:///path`, `unix:///path`, `amqp://`.
        tenant: `ten_…`.
        global_keyprefix: of the hub's keys, when the broker is Redis.
        timeout: seconds until a broker that does not answer is given up, roughly; a thread waits as long before that
            for one of the connections that all threads share.

    Raises:
        ValueError: the tenant's id is malformed, or the broker's URL is none.

    `publish`, `publish_many` and `execute` raise:
        ValueError: the input cannot be accepted by the hub; nothing was sent.
        TypeError: the data has no JSON form.
        BrokerUnavailable: the broker did not confirm the message; it may hold it all the same.
    """

    def __init__(
        self, broker_url: str, tenant: str, *, global_keyprefix: str = "hub:", timeout: float = 5.0
    ) -> None:
        _check_id(Kind.TENANT, tenant, "tenant")
        self._tenant = tenant
        self._timeout = timeout
        # The pooled connection, a new one, one more try: each gets a third of the time.
        self._patience = timeout / 3
        self._broker = _connection(broker_url, global_keyprefix, self._patience)
        is_amqp = self._broker.transport_cls in {"amqp", "amqps", "pyamqp"}
        # As the hub's workers declare it; RabbitMQ drops what is sent to a queue that does not exist yet.
        arguments = {"x-queue-type": "quorum"} if is_amqp else None
        self._queues = {
            name: Queue(name.value, routing_key=name.value, queue_arguments=arguments) for name in QueueName
        }
        self._faults: tuple[type[BaseException], ...] = (
            KombuError, OSError, *self._broker.connection_errors, *self._broker.channel_errors,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._pool: Any = None
        self._pid = 0

    def __repr__(self) -> str:
        return f"CeleryClient({self._broker.as_uri()!r}, {self._tenant!r})"

    def publish(
        self,
        type: str,
        data: Any,
        id: str | None = None,
        *,
        labels: Sequence[str] | None = None,
        ordering_key: str | None = None,
        deliver_at: datetime | str | None = None,
        expires_at: datetime | str | None = None,
    ) -> str:
        """Publish one event.

        Args:
            type: dotted event type, e.g. `invoice.paid`.
            data: any JSON value, or a `Json`; receivers get exactly the bytes that are made of it here.
            id: your own id: publishing it twice, ever, is one event. Made here when not given.
            labels: endpoints that ask for labels get it when they share one.
            ordering_key: events of one key reach endpoints with strict ordering one after the other.
            deliver_at: not before this moment: a time with its zone, or RFC 3339 text.
            expires_at: what is not delivered by then is not sent any more.

        Returns:
            The id, which becomes the `webhook-id`.
        """
        event: EventInput = {
            "type": type, "data": data, "id": id, "labels": labels, "ordering_key": ordering_key,
            "deliver_at": deliver_at, "expires_at": expires_at,
        }  # fmt: skip
        return self.publish_many([event])[0]

    def publish_many(self, events: Sequence[EventInput]) -> list[str]:
        """Publish events; all are checked before the first is sent.

        A long list goes in several messages: if one fails, those before it are published. Send the whole list
        again with the same ids.

        Returns:
            The id of each event, in order.
        """
        checked = [_check_event(event, index) for index, event in enumerate(events)]
        for batch in _batches(checked):
            payload = PublishEvents(tenant=self._tenant, events=batch)
            self._send(TaskName.EVENTS_PUBLISH, payload, f"<events: {len(batch)}>")
        return [event.id for event in checked]

    def execute(
        self,
        integration: str,
        operation: str,
        input: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        *,
        user: str | None = None,
        component: str | None = None,
        traceparent: str | None = None,
    ) -> str:
        """Ask for one execution of an operation.

        Args:
            integration: `int_…`.
            operation: its name.
            input: `path`, `query`, `headers`, `body` of the call.
            idempotency_key: the same key is one execution. Made here when not given.
            user: on whose behalf, for access rules and limits.
            component: which part of your system asks.
            traceparent: W3C trace context to go on with; a new trace begins without one.

        Returns:
            The idempotency key.
        """
        _check_id(Kind.INTEGRATION, integration, "integration")
        key = idempotency_key or f"cly_{new_uuid().hex}"
        if _KEY.fullmatch(key) is None:
            raise ValueError("idempotency_key must be 1 to 255 visible ASCII characters without spaces")
        given = dict(input or {})
        to_json(given)
        try:
            payload = SubmitExecution(
                tenant=self._tenant,
                idempotency_key=key,
                integration=integration,
                operation=operation,
                input=given,
                user=user,
                component=component,
                traceparent=traceparent,
            )
        except ValidationError as error:
            raise ValueError(_fault_of(error)) from None
        self._send(TaskName.EXECUTIONS_SUBMIT, payload, "<execution>")
        return key

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
            if pool is not None and self._pid == os.getpid():
                pool.force_close_all()

    def _send(self, task: TaskName, payload: Payload, summary: str) -> None:
        headers, body, properties = task_message(task, payload, uuid4(), summary)
        queue = self._queues[ROUTES[task]]
        try:
            with self._open_pool().acquire(block=True, timeout=self._timeout) as connection:
                # On an error the pool closes this connection: nobody goes on from the middle of an exchange.
                connection.Producer(auto_declare=False).publish(
                    body,
                    exchange="",
                    routing_key=queue.name,
                    declare=[queue],
                    serializer="json",
                    delivery_mode="persistent",
                    headers=headers,
                    retry=True,
                    retry_policy={"max_retries": 1, "interval_start": 0},
                    timeout=self._patience,
                    confirm_timeout=self._patience,
                    **properties,
                )
        except self._faults as error:
            raise BrokerUnavailable(
                f"The broker at {self._broker.as_uri()} did not confirm the message ({type(error).__name__});"
                " send it again with the same id."
            ) from None

    def _open_pool(self) -> Any:
        with self._lock:
            # Sockets must not be shared with a forked worker.
            if self._pool is None or self._pid != os.getpid():
                self._pool = self._broker.clone().Pool(limit=_POOL)
                self._pid = os.getpid()
            return self._pool


def task_message(
    task: TaskName, payload: Payload, task_id: UUID, summary: str
) -> tuple[dict[str, Any], tuple[Any, ...], dict[str, Any]]:
    """Headers, body and properties of one task message.

    Args:
        task: its name.
        payload: its only argument.
        task_id: the message's own id.
        summary: shown in Flower and in logs instead of the payload.
    """
    name = str(task_id)
    headers: dict[str, Any] = {
        "lang": "py",
        "task": task.value,
        "id": name,
        "root_id": name,
        "parent_id": None,
        "group": None,
        "group_index": None,
        "shadow": None,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": "()",
        "kwargsrepr": f"{{'payload': {summary}}}",
        "origin": f"{os.getpid()}@{socket.gethostname()}",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    # What is not set is left out: a message grows with what is said, not with what could be.
    body = ((), {"payload": payload.model_dump(mode="json", exclude_none=True)}, embed)
    return headers, body, {"correlation_id": name}


def _connection(url: str, prefix: str, patience: float) -> Connection:
    try:
        parts = urlsplit(url)
    except ValueError:  # its text could quote the password
        parts = None
    if (
        parts is None
        or parts.scheme not in {*_SCHEMES, _IN_MEMORY}
        or not url.startswith(f"{parts.scheme}://")
    ):
        raise ValueError(
            f"broker_url is not a URL that starts with one of {', '.join(f'{one}://' for one in _SCHEMES)}"
        )
    if parts.scheme == "unix":
        # redis-py's spelling; kombu has another name for the number of the database.
        query = parse_qsl(parts.query)
        renamed = urlencode([("virtual_host" if name == "db" else name, value) for name, value in query])
        url = f"redis+socket://{parts.path}" + (f"?{renamed}" if renamed else "")
    if url.startswith("redis"):
        options: dict[str, Any] = {
            "global_keyprefix": prefix,
            "socket_connect_timeout": patience,
            # None, the default, lets a publish hang for ever on a paused Redis.
            "socket_timeout": patience,
            "socket_keepalive": True,
            "priority_steps": [0],
        }
    else:
        options = {"confirm_publish": True, "read_timeout": patience, "write_timeout": patience}
    # Without max_retries the first connection is tried for ever.
    options |= {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}
    return Connection(url, connect_timeout=patience, transport_options=options)


def _check_id(kind: Kind, text: str, field: str) -> None:
    try:
        parse_id(kind, text, field=field)
    except Invalid as error:
        raise ValueError(error.detail) from None


def _check_event(event: EventInput, index: int) -> EventIn:
    at = f"events.{index}"
    given: Mapping[str, Any] = event
    unknown = set(event) - {"type", "data", "id", *_OPTIONS}
    if unknown or "type" not in event or "data" not in event:
        raise ValueError(
            f"{at} must have `type` and `data`, may have `id`, {', '.join(_OPTIONS)}, and nothing else"
        )
    event_type = event["type"]
    if len(event_type) > _MAX_TYPE or _EVENT_TYPE.fullmatch(event_type) is None:
        raise ValueError(f"{at}.type must be dotted words of letters, digits, _ and -, such as invoice.paid")
    event_id = event.get("id")
    if event_id is None:
        event_id = f"evt_{new_uuid().hex}"
    elif _EVENT_ID.fullmatch(event_id) is None:
        raise ValueError(f"{at}.id must be 1 to 128 letters, digits, `_`, `:` or `-`")
    data = to_json(event["data"])
    if len(data.encode()) > _MAX_DATA_BYTES:
        raise ValueError(f"{at}.data is over {_MAX_DATA_BYTES} bytes of JSON")
    options = {
        name: time_text(value) if name in TIMES else value
        for name in _OPTIONS
        if (value := given.get(name)) is not None
    }
    try:
        return EventIn(id=event_id, type=event_type, data=data, **options)
    except ValidationError as error:
        raise ValueError(f"{at}.{_fault_of(error)}") from None


def _fault_of(error: ValidationError) -> str:
    """What is wrong, without what was given: pydantic's own text would repeat it."""
    fault = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] in {"string_too_short", "string_too_long"}:
        return f"{place} has too {'few' if fault['type'] == 'string_too_short' else 'many'} characters"
    return f"{place} is not of the right kind"


def _batches(events: Sequence[EventIn]) -> Iterator[list[EventIn]]:
    batch: list[EventIn] = []
    size = 0
    for event in events:
        if batch and (len(batch) == _MAX_EVENTS or size + len(event.data) > _MAX_MESSAGE_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += len(event.data)
    if batch:
        yield batch
