from __future__ import annotations

import base64
import hmac
import json
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as MAIL_POLICY
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit

import amqp
import pytest
import redis
import trustme
from aiosmtpd.smtp import SMTP, AuthResult

from hub.core.secret import Secret
from hub.integrations.auth.basic import Basic
from hub.integrations.auth.mode import Credentials
from hub.integrations.pipeline.authenticating import Traced
from hub.integrations.transports.messaging import MessagingTransport
from hub.integrations.transports.messaging.forms import MessagingOperation, MessagingSettings
from hub.integrations.transports.messaging.mqtt_client import MqttClient
from hub.integrations.transports.messaging.redis_client import RedisSession
from hub.net import AddressPolicy, ErrorClass
from hub.net.cancellation import Cancellation
from hub.net.identity import TlsIdentity
from tests.integration.integrations.transports import message_peers
from tests.integration.integrations.transports.calls import Caller, basic
from tests.integration.integrations.transports.conformance import LARGE_BYTES, Conformance
from tests.integration.integrations.transports.message_peers import (
    PASSWORD,
    USER,
    Mailbox,
    running_mqtt,
    running_rabbitmq,
    running_smtp,
)
from tests.integration.integrations.transports.mqtt_sessions import SessionBroker
from tests.integration.integrations.transports.relay import Relay, relaying
from tests.integration.net.hostile import Behaviour, Server
from tests.support.waiting import until

AUTHORITY = trustme.CA()
LOGIN = basic(USER, PASSWORD)


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1", "localhost", "peer.test").configure_cert(context)
    return context


def tls() -> TlsIdentity:
    return TlsIdentity(ca=AUTHORITY.cert_pem.bytes())


def caller_of(url: str, operations: dict[str, Any], credentials: Credentials = LOGIN, **more: Any) -> Caller:
    return Caller(MessagingTransport(), url, credentials, operations, **more)


def tcp(port: int) -> Callable[[], socket.socket]:
    return lambda: socket.create_connection(("127.0.0.1", port))


# Redis


@pytest.fixture(scope="module")
def valkey(valkey_url: str) -> Iterator[Callable[[], socket.socket]]:
    """How to connect to the server; it knows a user with a password."""
    with redis.Redis.from_url(valkey_url) as admin:
        admin.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "&*", "+@all")
    parts = urlsplit(valkey_url)

    def connect() -> socket.socket:
        if parts.scheme != "unix":
            return socket.create_connection((parts.hostname or "", parts.port or 6379))
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(parts.path)
        return sock

    yield connect
    with redis.Redis.from_url(valkey_url) as admin:
        admin.execute_command("ACL", "DELUSER", USER)


@pytest.fixture
def redis_relay(valkey: Callable[[], socket.socket]) -> Iterator[Relay]:
    with relaying(valkey) as relay:
        yield relay


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


REDIS: dict[str, Any] = {
    "add": {"action": "publish", "stream": "orders:{shop}", "max_length": 1000, "headers": {"source": "hub"}},
    "read": {"action": "consume", "stream": "orders:{shop}", "count": 10, "wait_seconds": 0, "ack": False},
    "work": {"action": "consume", "stream": "orders:a", "group": "g", "count": 2, "wait_seconds": 0.1},
    "show": {
        "action": "consume",
        "stream": "orders:a",
        "group": "g",
        "count": 5,
        "wait_seconds": 0,
        "ack": False,
    },
    "work_later": {"action": "consume", "stream": "orders:a", "group": "g", "count": 5, "wait_seconds": 20},
    "push": {"action": "publish", "list": "jobs"},
    "pop": {"action": "consume", "list": "jobs", "count": 10, "wait_seconds": 0},
    "pop_later": {"action": "consume", "list": "jobs", "count": 10, "wait_seconds": 20},
    "peek": {"action": "consume", "list": "jobs", "count": 10, "wait_seconds": 0, "ack": False},
    "tell": {"action": "publish", "channel": "news"},
}


@pytest.fixture
def redis_caller(redis_relay: Relay, store: redis.Redis) -> Caller:
    database = store.get_connection_kwargs()["db"]
    return caller_of(f"redis://127.0.0.1:{redis_relay.port}/{database}", REDIS)


def test_entries_of_a_stream_come_back(redis_caller: Caller, store: redis.Redis, redis_relay: Relay) -> None:
    given = {"parameters": {"shop": "a"}, "json": {"n": 1, "ü": "✓"}, "headers": {"trace": "x"}}
    first = redis_caller.result("add", given)["id"]
    second = redis_caller.result("add", {"parameters": {"shop": "a"}, "fields": {"plain": "1"}})["id"]
    assert [entry[0] for entry in store.xrange("orders:a") or []] == [first, second]
    read = redis_caller.result("read", {"parameters": {"shop": "a"}})
    assert read == {
        "count": 2,
        "messages": [
            {"json": {"n": 1, "ü": "✓"}, "id": first, "fields": {"source": "hub", "trace": "x"}},
            {"text": "", "id": second, "fields": {"plain": "1"}},
        ],
    }
    after = redis_caller.result("read", {"parameters": {"shop": "a"}, "after": first})
    assert [message["id"] for message in after["messages"]] == [second]
    assert redis_relay.connections == 1


def test_a_group_gets_each_entry_once(redis_caller: Caller, store: redis.Redis) -> None:
    missing = redis_caller.call("work")
    assert (missing.error_class, missing.headers["redis-error"]) == (ErrorClass.PROVIDER_ERROR, "NOGROUP")
    store.xgroup_create("orders:a", "g", mkstream=True)
    for number in range(3):
        redis_caller.result("add", {"parameters": {"shop": "a"}, "text": str(number)})
    assert [m["text"] for m in redis_caller.result("work")["messages"]] == ["0", "1"]
    assert [m["text"] for m in redis_caller.result("work")["messages"]] == ["2"]
    assert redis_caller.result("work") == {"count": 0, "messages": []}
    assert store.xpending("orders:a", "g")["pending"] == 0


def test_a_list_gives_what_fits_and_keeps_the_rest(redis_caller: Caller, store: redis.Redis) -> None:
    for text in ("a" * 400, "b" * 400, "c" * 400):
        redis_caller.result("push", {"text": text})
    assert redis_caller.result("peek")["count"] == 3
    assert redis_caller.result("pop", max_bytes=1_100)["count"] == 2
    assert store.lrange("jobs", 0, -1) == ["c" * 400]
    assert redis_caller.call("pop", max_bytes=300).error_class is ErrorClass.TOO_LARGE
    assert store.llen("jobs") == 1
    assert redis_caller.result("pop")["messages"] == [{"text": "c" * 400}]
    assert redis_caller.result("pop")["count"] == 0


@pytest.fixture
def group(store: redis.Redis) -> str:
    """Of the stream `orders:a`, from its beginning."""
    store.xgroup_create("orders:a", "g", mkstream=True)
    return "g"


def texts(result: dict[str, Any]) -> list[str]:
    return [message["text"] for message in result["messages"]]


@pytest.mark.parametrize("value", ["x" * 400, "\0" * 70], ids=["plain", "escapes"])
def test_entries_that_do_not_fit_come_first_at_the_next_time(
    redis_caller: Caller, store: redis.Redis, group: str, value: str
) -> None:
    for number in range(5):
        store.xadd("orders:a", {"body": f"{number}{value}"})
    got = texts(redis_caller.result("work", max_bytes=700))
    assert store.xpending("orders:a", group)["pending"] == 1
    got += texts(redis_caller.result("work", max_bytes=700))
    assert got == [f"0{value}", f"1{value}"]
    assert texts(redis_caller.result("work", max_bytes=5_000)) == [f"2{value}", f"3{value}"]
    assert texts(redis_caller.result("work", max_bytes=5_000)) == [f"4{value}"]
    assert store.xpending("orders:a", group)["pending"] == 0


@pytest.mark.parametrize("value", ["x" * 200_000, "\0" * 300], ids=["raw", "json"])
def test_an_entry_that_is_too_long_is_there_for_who_has_room(
    redis_caller: Caller, store: redis.Redis, group: str, value: str
) -> None:
    store.xadd("orders:a", {"body": value})
    store.xadd("orders:a", {"body": "next"})
    for _ in range(2):
        assert redis_caller.call("work", max_bytes=1_000).error_class is ErrorClass.TOO_LARGE
    assert texts(redis_caller.result("work", max_bytes=500_000)) == [value, "next"]
    assert store.xpending("orders:a", group)["pending"] == 0


def test_entries_that_are_not_acknowledged_stay_for_the_next(
    redis_caller: Caller, store: redis.Redis, group: str
) -> None:
    for number in range(3):
        store.xadd("orders:a", {"body": str(number)})
    for _ in range(2):
        assert texts(redis_caller.result("show")) == ["0", "1", "2"]
    assert texts(redis_caller.result("work")) == ["0", "1"]
    assert texts(redis_caller.result("show")) == ["2"]
    assert store.xpending("orders:a", group)["pending"] == 1


def test_entries_of_a_call_that_died_come_again_after_a_while(
    redis_caller: Caller, store: redis.Redis, group: str
) -> None:
    old, new, others, gone = (
        store.xadd("orders:a", {"body": text}) for text in ("old", "new", "others", "gone")
    )
    store.xreadgroup(group, "hub", {"orders:a": ">"}, count=2)
    store.xreadgroup(group, "somebody", {"orders:a": ">"}, count=1)
    store.xreadgroup(group, "hub", {"orders:a": ">"}, count=1)
    for entry, consumer in ((old, "hub"), (others, "somebody"), (gone, "hub")):
        store.xclaim("orders:a", group, consumer, 0, [entry], idle=61_000, justid=True)
    store.xdel("orders:a", gone)
    assert texts(redis_caller.result("work")) == ["old"]
    assert redis_caller.result("work")["count"] == 0
    left = store.xpending_range("orders:a", group, "-", "+", 10)
    assert [(one["message_id"], one["consumer"]) for one in left] == [(new, "hub"), (others, "somebody")]


def test_waiting_for_a_group_ends_with_the_first_entry(
    redis_caller: Caller, store: redis.Redis, group: str
) -> None:
    threading.Timer(0.3, lambda: store.xadd("orders:a", {"body": "x"})).start()
    assert texts(redis_caller.result("work_later")) == ["x"]
    assert store.xpending("orders:a", group)["pending"] == 0


def test_entries_that_were_acknowledged_are_answered_whatever_the_server_says_then(
    redis_caller: Caller, store: redis.Redis, group: str, redis_relay: Relay
) -> None:
    store.xadd("orders:a", {"body": "x"})
    ask = RedisSession.ask

    def held(session: RedisSession, *command: Any, max_bytes: int) -> Any:
        if command[0] == "XACK":
            redis_relay.held.set()
        return ask(session, *command, max_bytes=max_bytes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RedisSession, "ask", held)
        assert texts(redis_caller.result("work", timeout=1.0)) == ["x"]
    until(lambda: store.xpending("orders:a", group)["pending"] == 0)


@pytest.mark.parametrize("value", [b"\xff" * 500, b"\0" * 200], ids=["base64", "escapes"])
def test_a_list_loses_nothing_of_what_is_too_long_as_json(
    redis_caller: Caller, store: redis.Redis, value: bytes
) -> None:
    store.rpush("jobs", value, "a", "b")
    assert redis_caller.call("pop", max_bytes=700).error_class is ErrorClass.TOO_LARGE
    assert store.llen("jobs") == 3
    whole = redis_caller.result("pop", max_bytes=5_000)["messages"]
    assert [message.get("text") for message in whole[1:]] == ["a", "b"]


def test_a_list_keeps_the_order_of_what_is_too_long_as_json(redis_caller: Caller, store: redis.Redis) -> None:
    values = ["a", *(f"{number}" + "\0" * 100 for number in range(4))]
    store.rpush("jobs", *values)
    assert redis_caller.result("pop", max_bytes=1_000)["messages"] == [{"text": "a"}, {"text": values[1]}]
    assert store.lrange("jobs", 0, -1) == values[2:]


def test_two_that_take_from_a_list_at_once_share_it(
    redis_caller: Caller, store: redis.Redis, valkey_url: str
) -> None:
    """Another one takes the beginning between the look and the taking."""
    store.rpush("jobs", "a", "b", "c")
    ask = RedisSession.ask
    first = threading.Event()

    def interrupted(session: RedisSession, *command: Any, max_bytes: int) -> Any:
        found = ask(session, *command, max_bytes=max_bytes)
        if command[0] == "EVAL" and not first.is_set():
            first.set()
            assert store.lpop("jobs") == "a"
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RedisSession, "ask", interrupted)
        assert redis_caller.result("pop")["messages"] == [{"text": "b"}, {"text": "c"}]
    assert first.is_set()
    assert store.llen("jobs") == 0


def test_what_was_taken_from_a_list_is_answered_whatever_the_server_says_then(
    redis_caller: Caller, store: redis.Redis, redis_relay: Relay
) -> None:
    redis_caller.result("push", {"text": "x"})
    ask = RedisSession.ask
    asked: list[str] = []

    def held(session: RedisSession, *command: Any, max_bytes: int) -> Any:
        if command[0] == "EVAL" and asked.count("EVAL") == 1:
            redis_relay.held.set()
        asked.append(command[0])
        return ask(session, *command, max_bytes=max_bytes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RedisSession, "ask", held)
        assert redis_caller.result("pop", timeout=1.0)["messages"] == [{"text": "x"}]
    assert redis_relay.held.is_set()
    until(lambda: store.llen("jobs") == 0)


def test_waiting_for_a_list_ends_with_the_first_element(redis_caller: Caller, store: redis.Redis) -> None:
    threading.Timer(0.3, lambda: store.rpush("jobs", "x")).start()
    assert redis_caller.result("pop_later")["messages"] == [{"text": "x"}]
    assert store.llen("jobs") == 0


def test_a_channel_says_how_many_heard_it(redis_caller: Caller) -> None:
    assert redis_caller.result("tell", {"base64": "/w=="}) == {"receivers": 0}


def test_errors_of_redis_keep_their_code(
    redis_caller: Caller, store: redis.Redis, redis_relay: Relay
) -> None:
    store.set("jobs", "a text")
    for _ in range(2):
        outcome = redis_caller.call("push", {"text": "x"})
        assert (outcome.error_class, outcome.headers["redis-error"]) == (
            ErrorClass.PROVIDER_ERROR,
            "WRONGTYPE",
        )
    assert redis_relay.connections == 1


def test_redis_under_tls(valkey: Callable[[], socket.socket]) -> None:
    with relaying(valkey, context=server_context()) as relay:
        url = f"rediss://127.0.0.1:{relay.port}"
        assert caller_of(url, REDIS, tls=tls()).probe().ok
        assert caller_of(url, REDIS).probe().error_class is ErrorClass.TLS
        assert caller_of(url, REDIS, settings={"tls": "require"}).probe().ok


def test_cancelling_ends_the_waiting(redis_caller: Caller) -> None:
    cancellation = Cancellation()
    threading.Timer(0.5, cancellation.cancel).start()
    outcome = redis_caller.call("pop_later", timeout=30, cancellation=cancellation)
    assert outcome.error_class is ErrorClass.CANCELLED
    assert outcome.timings.total_ms < 3000


# AMQP


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[int]:
    with running_rabbitmq() as port:
        yield port


AMQP: dict[str, Any] = {
    "put": {"action": "publish", "queue": "{q}", "headers": {"source": "hub"}},
    "route": {"action": "publish", "exchange": "amq.topic", "routing_key": "orders.{shop}"},
    "nowhere": {"action": "publish", "exchange": "no.such", "routing_key": "x"},
    "take": {"action": "consume", "queue": "{q}", "count": 5, "wait_seconds": 0.5},
    "look": {"action": "consume", "queue": "{q}", "count": 5, "wait_seconds": 0.5, "ack": False},
}


@pytest.fixture
def queue(rabbitmq: int) -> str:
    name = uuid.uuid4().hex
    with amqp.Connection(f"127.0.0.1:{rabbitmq}", userid=USER, password=PASSWORD) as admin:
        channel = admin.channel()
        channel.queue_declare(name, durable=True, auto_delete=False)
        channel.queue_bind(name, "amq.topic", f"orders.{name}")
    return name


def test_messages_come_back_from_a_queue(rabbitmq: int, queue: str) -> None:
    with relaying(tcp(rabbitmq)) as relay:
        caller = caller_of(f"amqp://127.0.0.1:{relay.port}", AMQP)
        q = {"parameters": {"q": queue}}
        put = caller.result(
            "put", {**q, "json": {"n": 1}, "headers": {"trace": "x"}}, idempotency_key="exe-1"
        )
        assert put == {"exchange": "", "routing_key": queue, "confirmed": True}
        caller.result("put", {**q, "base64": "/w=="})
        caller.result("route", {"parameters": {"shop": queue}, "text": "hey"})
        looked = caller.result("look", q)
        assert looked["count"] == 3
        taken = caller.result("take", q)
        assert taken["messages"] == [
            {
                "json": {"n": 1},
                "id": "exe-1",
                "headers": {"source": "hub", "trace": "x"},
                "exchange": "",
                "routing_key": queue,
                "redelivered": True,
            },
            {
                "base64": "/w==",
                "headers": {"source": "hub"},
                "exchange": "",
                "routing_key": queue,
                "redelivered": True,
            },
            {"text": "hey", "exchange": "amq.topic", "routing_key": f"orders.{queue}", "redelivered": True},
        ]
        assert caller.result("take", q)["count"] == 0
        assert relay.connections == 1


def test_what_no_queue_wants_is_an_error(rabbitmq: int) -> None:
    caller = caller_of(f"amqp://127.0.0.1:{rabbitmq}", AMQP)
    lost = caller.call("put", {"parameters": {"q": "no-such-queue"}, "text": "x"})
    assert (lost.error_class, lost.headers["amqp-code"]) == (ErrorClass.PROVIDER_ERROR, "312")
    for operation, given in (
        ("nowhere", {"text": "x"}),
        ("take", {"parameters": {"q": "no-such-queue"}}),
    ):
        outcome = caller.call(operation, given)
        assert (outcome.error_class, outcome.headers["amqp-code"]) == (ErrorClass.PROVIDER_ERROR, "404")
    assert caller.probe().ok


def test_a_call_that_fails_leaves_no_channel_open(rabbitmq: int, queue: str) -> None:
    """Channels have numbers, the lowest that is free first."""
    opened: list[int | None] = []
    channel = amqp.Connection.channel

    def noted(link: amqp.Connection) -> amqp.Channel:
        found = channel(link)
        opened.append(found.channel_id)
        return found

    with relaying(tcp(rabbitmq)) as relay, pytest.MonkeyPatch.context() as patch:
        patch.setattr(amqp.Connection, "channel", noted)
        caller = caller_of(f"amqp://127.0.0.1:{relay.port}", AMQP)
        for _ in range(3):
            assert caller.call("nowhere", {"text": "x"}).headers["amqp-code"] == "404"
        caller.result("put", {"parameters": {"q": queue}, "text": "x"})
        assert relay.connections == 1
    assert len(opened) >= 4
    assert set(opened) == {1}


def in_queue(rabbitmq: int, queue: str) -> int:
    """How many messages are there."""
    with amqp.Connection(f"127.0.0.1:{rabbitmq}", userid=USER, password=PASSWORD) as admin:
        declared = admin.channel().queue_declare(queue, passive=True)
        assert declared is not None
        return int(declared[1])


def test_messages_that_were_acknowledged_are_answered_whatever_the_broker_says_then(
    rabbitmq: int, queue: str
) -> None:
    with relaying(tcp(rabbitmq)) as relay, pytest.MonkeyPatch.context() as patch:
        caller = caller_of(f"amqp://127.0.0.1:{relay.port}", AMQP)
        q = {"parameters": {"q": queue}}
        caller.result("put", {**q, "text": "x"})
        ack = amqp.Channel.basic_ack

        def held(channel: amqp.Channel, *args: Any, **options: Any) -> None:
            relay.held.set()
            ack(channel, *args, **options)

        patch.setattr(amqp.Channel, "basic_ack", held)
        assert texts(caller.result("take", q, timeout=2.0)) == ["x"]
        assert relay.held.is_set()
        until(lambda: in_queue(rabbitmq, queue) == 0)


def test_a_message_that_was_confirmed_is_published_whatever_the_broker_says_then(
    rabbitmq: int, queue: str
) -> None:
    with relaying(tcp(rabbitmq)) as relay, pytest.MonkeyPatch.context() as patch:
        close = amqp.Channel.close

        def held(channel: amqp.Channel) -> None:
            relay.held.set()
            close(channel)

        patch.setattr(amqp.Channel, "close", held)
        caller = caller_of(f"amqp://127.0.0.1:{relay.port}", AMQP)
        put = caller.result("put", {"parameters": {"q": queue}, "text": "x"}, timeout=2.0)
        assert put["confirmed"]
        assert relay.held.is_set()
    assert in_queue(rabbitmq, queue) == 1


class ForcedOut(Relay):
    """Before a broker that is being stopped: in the place of one answer it ends the connection (320)."""

    instead_of: bytes
    """The class and the method of that answer."""

    def _answer(
        self, service: socket.socket, client: socket.socket, number: int, asking: threading.Thread
    ) -> None:
        said = b"CONNECTION_FORCED - broker forced connection closure"
        # AMQP 0-9-1, 4.2.3: a method frame of channel 0; 1.4.2.10: connection.close.
        close = b"\x00\x0a\x00\x32" + (320).to_bytes(2) + bytes([len(said)]) + said + bytes(4)
        while data := service.recv(16_384):
            if self.instead_of in data:
                client.sendall(b"\x01\x00\x00" + len(close).to_bytes(4) + close + b"\xce")
                asking.join(5)
                return
            client.sendall(data)


@pytest.mark.parametrize(
    ("confirm", "instead_of", "error_class", "there"),
    [
        (True, b"\x00\x3c\x00\x50", ErrorClass.RESET, 1),
        (False, b"\x00\x14\x00\x29", ErrorClass.RESET, 1),
        (True, b"\x00\x14\x00\x0b", ErrorClass.PROVIDER_BUSY, 0),
    ],
    ids=["basic.ack", "channel.close-ok", "channel.open-ok"],
)
def test_a_broker_that_stops_may_have_the_message_that_it_was_sent(
    rabbitmq: int, queue: str, confirm: bool, instead_of: bytes, error_class: ErrorClass, there: int
) -> None:
    relay = ForcedOut(rabbitmq)
    relay.instead_of = instead_of
    operations = {"put": {"action": "publish", "queue": queue, "confirm": confirm}}
    with relay.running():
        outcome = caller_of(f"amqp://127.0.0.1:{relay.port}", operations).call("put", {"text": "x"})
    assert (outcome.error_class, outcome.headers["amqp-code"]) == (error_class, "320")
    until(lambda: in_queue(rabbitmq, queue) == there)


def test_messages_that_do_not_fit_stay_in_the_queue(rabbitmq: int, queue: str) -> None:
    caller = caller_of(f"amqp://127.0.0.1:{rabbitmq}", AMQP)
    q = {"parameters": {"q": queue}}
    for _ in range(3):
        caller.result("put", {**q, "text": "x" * 400})
    assert caller.result("take", q, max_bytes=1_200)["count"] == 2
    assert caller.call("take", q, max_bytes=300).error_class is ErrorClass.TOO_LARGE
    assert caller.result("take", q)["count"] == 1


def test_amqp_under_tls(rabbitmq: int) -> None:
    with relaying(tcp(rabbitmq), context=server_context()) as relay:
        url = f"amqps://127.0.0.1:{relay.port}/%2F"
        assert caller_of(url, AMQP, tls=tls()).probe().ok
        assert caller_of(url, AMQP).probe().error_class is ErrorClass.TLS


def test_a_virtual_host_that_is_not_there(rabbitmq: int) -> None:
    outcome = caller_of(f"amqp://127.0.0.1:{rabbitmq}/nothing", AMQP).probe()
    assert outcome.error_class in {ErrorClass.UNAUTHORIZED, ErrorClass.PROVIDER_ERROR}, outcome


# MQTT


@pytest.fixture(scope="module")
def mqtt() -> Iterator[int]:
    with running_mqtt() as port:
        yield port


MQTT: dict[str, Any] = {
    "set": {"action": "publish", "topic": "devices/{id}/set", "retain": True},
    "get": {"action": "consume", "topic": "devices/{id}/#", "count": 5, "wait_seconds": 1.0},
    "all": {"action": "consume", "topic": "devices/#", "count": 1, "wait_seconds": 20},
}


def test_a_retained_message_comes_back(mqtt: int) -> None:
    caller = caller_of(f"mqtt://127.0.0.1:{mqtt}", MQTT)
    one = {"parameters": {"id": uuid.uuid4().hex}}
    assert caller.result("set", {**one, "json": {"on": True}})["qos"] == 1
    topic = f"devices/{one['parameters']['id']}/set"
    assert caller.result("get", one)["messages"] == [
        {"text": '{"on":true}', "topic": topic, "retained": True}
    ]
    assert caller.result("get", {"parameters": {"id": uuid.uuid4().hex}}) == {"count": 0, "messages": []}


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_that_comes_later_ends_the_waiting(mqtt: int, qos: int) -> None:
    name = uuid.uuid4().hex
    caller = caller_of(
        f"mqtt://127.0.0.1:{mqtt}",
        {
            "say": {"action": "publish", "topic": f"rooms/{name}", "qos": qos},
            "hear": {
                "action": "consume",
                "topic": f"rooms/{name}",
                "qos": qos,
                "count": 1,
                "wait_seconds": 20,
            },
        },
    )
    stop = threading.Event()

    def say() -> None:
        while not stop.wait(0.3):
            caller.call("say", {"text": "hey"})

    thread = threading.Thread(target=say)
    thread.start()
    try:
        assert caller.result("hear", timeout=15)["messages"] == [{"text": "hey", "topic": f"rooms/{name}"}]
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("qos", [1, 2])
def test_a_connection_that_ends_before_the_message_is_written_is_a_reset(
    mqtt: int, qos: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = MqttClient.publish
    operations = {"set": {"action": "publish", "topic": "devices/x/set", "qos": qos}}
    with relaying(mqtt) as relay:

        def late(client: MqttClient, task: Any) -> bytes:
            relay.reset()
            return publish(client, task)

        monkeypatch.setattr(MqttClient, "publish", late)
        outcome = caller_of(f"mqtt://127.0.0.1:{relay.port}", operations).call("set", {"text": "x"})
    assert outcome.error_class is ErrorClass.RESET, outcome


SESSIONS: dict[str, Any] = {
    name: {"action": "consume", "topic": "rooms/{room}", "session": "hub", "wait_seconds": 0.3} | more
    for name, more in {
        "one": {"qos": 1},
        "one_of_two": {"qos": 2},
        "many": {"count": 5},
        "look": {"count": 5, "ack": False},
    }.items()
}


@pytest.mark.parametrize("operation", ["one", "one_of_two"])
def test_a_session_keeps_what_a_call_has_not_taken(operation: str) -> None:
    with SessionBroker(window=10).running() as broker:
        caller = caller_of(f"mqtt://127.0.0.1:{broker.port}", SESSIONS)
        room = {"parameters": {"room": "a"}}
        assert caller.result(operation, room)["count"] == 0
        for text in "abc":
            broker.say("rooms/a", text)
        assert texts(caller.result("look", room)) == ["a", "b", "c"]
        assert [texts(caller.result(operation, room)) for _ in range(4)] == [["a"], ["b"], ["c"], []]
        until(lambda: broker.waiting == 0)


def test_sessions_of_two_topics_do_not_stand_in_each_others_way() -> None:
    with SessionBroker(window=1).running() as broker:
        caller = caller_of(f"mqtt://127.0.0.1:{broker.port}", SESSIONS)
        a, b = ({"parameters": {"room": name}} for name in "ab")
        for room in (a, b):
            assert caller.result("many", room)["count"] == 0
        for text in "12":
            broker.say("rooms/a", text)
            broker.say("rooms/b", text)
        assert texts(caller.result("many", b)) == ["1", "2"]
        assert texts(caller.result("many", a)) == ["1", "2"]
        assert all(name.startswith("hub-") for name in broker.sessions)


def test_messages_that_were_acknowledged_are_answered_though_the_broker_leaves() -> None:
    with SessionBroker(window=1, leaves=True).running() as broker:
        caller = caller_of(f"mqtt://127.0.0.1:{broker.port}", SESSIONS)
        room = {"parameters": {"room": "a"}}
        assert caller.result("many", room)["count"] == 0
        for text in "12":
            broker.say("rooms/a", text)
        assert [texts(caller.result("many", room)) for _ in range(3)] == [["1"], ["2"], []]


def test_mqtt_under_tls(mqtt: int) -> None:
    with relaying(tcp(mqtt), context=server_context()) as relay:
        url = f"mqtts://127.0.0.1:{relay.port}"
        assert caller_of(url, MQTT, tls=tls()).probe().ok
        assert caller_of(url, MQTT).probe().error_class is ErrorClass.TLS


# Mail

MAIL: dict[str, Any] = {
    "send": {"action": "send", "from": "Hub ü <hub@sender.example>"},
    "fixed": {"action": "send", "from": "hub@sender.example", "to": ["ops@example.org"], "subject": "Alert"},
}


@pytest.fixture(scope="module", params=["smtp", "smtps"])
def mail_server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Mailbox]]:
    with running_smtp(server_context(), implicit=request.param == "smtps") as box:
        yield f"{request.param}://127.0.0.1:{box.port}", box


def parsed(box: Mailbox) -> EmailMessage:
    content = box.envelopes[-1].content
    assert isinstance(content, bytes)
    return message_from_bytes(content, policy=MAIL_POLICY)


def test_a_mail_arrives_as_it_was_meant(mail_server: tuple[str, Mailbox]) -> None:
    url, box = mail_server
    caller = caller_of(url, MAIL, tls=tls())
    given = {
        "to": ["Ärzte <a@example.org>", "b@example.org"], "cc": "c@example.org", "bcc": ["d@example.org"],
        "reply_to": "r@example.org", "subject": "Grüße ✓", "text": "Hallo\n.\nüber", "html": "<b>Hallo</b>",
        "attachments": [{"name": "rechnung ü.pdf", "content_type": "application/pdf", "base64": "/wA="}],
        "headers": {"X-Order": "7"},
    }  # fmt: skip
    answer = caller.result("send", given, idempotency_key="exe_1")
    assert answer == {
        "message_id": "<exe_1@sender.example>",
        "accepted": ["a@example.org", "b@example.org", "c@example.org", "d@example.org"],
        "refused": {},
    }
    envelope, message = box.envelopes[-1], parsed(box)
    assert envelope.mail_from == "hub@sender.example"
    assert envelope.rcpt_tos == answer["accepted"]
    assert "d@example.org" not in str(message)
    assert (message["From"], message["To"]) == (
        "Hub ü <hub@sender.example>",
        "Ärzte <a@example.org>, b@example.org",
    )
    assert (message["Subject"], message["X-Order"], message["Reply-To"]) == ("Grüße ✓", "7", "r@example.org")
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == "Hallo\n.\nüber\n"
    assert html.get_content().strip() == "<b>Hallo</b>"
    [attachment] = list(message.iter_attachments())
    assert (attachment.get_filename(), attachment.get_content()) == ("rechnung ü.pdf", b"\xff\0")
    assert caller.result("fixed", {"text": "now"})["accepted"] == ["ops@example.org"]
    assert parsed(box)["Subject"] == "Alert"


def test_recipients_that_are_refused_are_named(mail_server: tuple[str, Mailbox]) -> None:
    url, box = mail_server
    caller = caller_of(url, MAIL, tls=tls())
    box.answers.update({"no@example.org": "550 No such user", "later@example.org": "451 Try later"})
    try:
        some = caller.result("send", {"to": ["no@example.org", "yes@example.org"], "text": "x"})
        assert (some["accepted"], some["refused"]) == (
            ["yes@example.org"],
            {"no@example.org": "550 No such user"},
        )
        none = caller.call("send", {"to": ["no@example.org"], "text": "x"})
        assert (none.error_class, none.headers["smtp-code"]) == (ErrorClass.PROVIDER_ERROR, "550")
        later = caller.call("send", {"to": ["later@example.org"], "text": "x"})
        assert later.error_class is ErrorClass.PROVIDER_BUSY
    finally:
        box.answers.clear()


def test_mail_verifies_the_server(mail_server: tuple[str, Mailbox]) -> None:
    url, _ = mail_server
    assert caller_of(url, MAIL).probe().error_class is ErrorClass.TLS
    assert caller_of(url, MAIL, settings={"tls": "require"}).probe().ok


def test_without_starttls_there_is_neither_login_nor_mail() -> None:
    with running_smtp(None, login=False) as box, relaying(tcp(box.port)) as relay:
        url = f"smtp://127.0.0.1:{relay.port}"
        assert caller_of(url, MAIL).probe().error_class is ErrorClass.TLS
        assert caller_of(url, MAIL, settings={"tls": "disable"}).probe().error_class is ErrorClass.TLS
        assert b"AUTH" not in relay.sent
        open_ = caller_of(url, MAIL, Credentials(), settings={"tls": "disable"})
        assert open_.result("fixed", {"text": "x"})["accepted"] == ["ops@example.org"]


class OnlyTokens(SMTP):
    """A mail server where a password is of no use."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, auth_exclude_mechanism=["PLAIN", "LOGIN"], **options)

    async def auth_XOAUTH2(self, server: SMTP, given: list[str]) -> AuthResult:  # noqa: N802 - its name
        raise NotImplementedError


def test_a_mail_server_without_a_login_for_passwords_refuses_the_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(message_peers, "SMTP", OnlyTokens)
    with running_smtp(server_context()) as box:
        outcome = caller_of(f"smtp://127.0.0.1:{box.port}", MAIL, tls=tls()).call("fixed", {"text": "x"})
        assert (outcome.error_class, box.envelopes) == (ErrorClass.UNAUTHORIZED, [])
        assert "PLAIN" in outcome.message


@pytest.mark.parametrize(("user", "password"), [(USER, "pässwört"), ("jürgen", PASSWORD)])
@pytest.mark.parametrize("left_out", ["PLAIN", "LOGIN"])
def test_a_login_may_have_any_letters(
    monkeypatch: pytest.MonkeyPatch, user: str, password: str, left_out: str
) -> None:
    monkeypatch.setattr(message_peers, "USER", user)
    monkeypatch.setattr(message_peers, "PASSWORD", password)
    monkeypatch.setattr(message_peers, "SMTP", partial(SMTP, auth_exclude_mechanism=[left_out]))
    with running_smtp(server_context()) as box:
        url = f"smtp://127.0.0.1:{box.port}"
        assert caller_of(url, MAIL, basic(user, password), tls=tls()).probe().ok
        refused = caller_of(url, MAIL, basic(user, "wröng"), tls=tls()).probe()
        assert (refused.error_class, refused.message) == (
            ErrorClass.UNAUTHORIZED,
            "The server refused the login (535).",
        )


def mail_talk(greeting: str, offers: str = "", **answers: str) -> Behaviour:
    """A mail server that says what it is told to.

    Args:
        greeting: its first line.
        offers: an extension.
        answers: by command; to all else 250.
    """

    def behave(server: Server, sock: socket.socket) -> None:
        sock.sendall(f"{greeting}\r\n".encode())
        stream = sock.makefile("rb")
        while line := stream.readline():
            server.requests.append(line)
            command = line[:4].decode("ascii", "replace").strip().upper()
            said = f"250-test\r\n250 {offers or 'HELP'}" if command == "EHLO" else "250 OK"
            sock.sendall(f"{answers.get(command, said)}\r\n".encode())

    return behave


@pytest.mark.parametrize(
    ("greeting", "error_class"),
    [
        ("421 4.7.0 too many connections, try again later", ErrorClass.PROVIDER_BUSY),
        ("554 5.7.1 blocked, see https://block.example/", ErrorClass.PROVIDER_ERROR),
    ],
)
@pytest.mark.parametrize("closes", [True, False], ids=["closes", "stays"])
def test_a_mail_server_that_refuses_the_connection_is_heard(
    greeting: str, error_class: ErrorClass, closes: bool
) -> None:
    talk = mail_talk(greeting, EHLO="503 5.5.1 bad sequence of commands")
    with Server(
        (lambda _, sock: sock.sendall(f"{greeting}\r\n".encode())) if closes else talk
    ).running() as peer:
        caller = caller_of(f"smtp://127.0.0.1:{peer.port}", MAIL, Credentials(), settings={"tls": "disable"})
        outcome = caller.call("fixed", {"text": "x"})
    code, _, text = greeting.partition(" ")
    assert (outcome.error_class, outcome.message, peer.requests) == (
        error_class,
        f"SMTP: {text} ({code}).",
        [],
    )


def test_a_mail_server_that_says_no_goodbye_holds_nobody() -> None:
    def behave(server: Server, sock: socket.socket) -> None:
        sock.sendall(b"220 hi\r\n")
        stream = sock.makefile("rb")
        while line := stream.readline():
            if line.upper().startswith(b"DATA"):
                sock.sendall(b"354 go on\r\n")
                while stream.readline() != b".\r\n":
                    pass
                sock.sendall(b"250 taken\r\n")
            elif not line.upper().startswith(b"QUIT"):
                sock.sendall(b"250 OK\r\n")

    with Server(behave).running() as peer:
        caller = caller_of(f"smtp://127.0.0.1:{peer.port}", MAIL, Credentials(), settings={"tls": "disable"})
        started = time.monotonic()
        assert caller.result("fixed", {"text": "x"}, timeout=60)["refused"] == {}
    assert time.monotonic() - started < 30


def test_what_a_mail_server_lacks_has_its_class() -> None:
    with Server(mail_talk("220 hi"), tls=server_context()).running() as peer:
        url = f"smtps://127.0.0.1:{peer.port}"
        login = caller_of(url, MAIL, tls=tls()).probe()
        assert (login.error_class, "offers no login" in login.message) == (ErrorClass.UNAUTHORIZED, True)
        caller = caller_of(url, MAIL, Credentials(), tls=tls())
        for to in ("b@exämple.org", "ü@example.org"):
            outcome = caller.call("send", {"to": to, "text": "x"})
            assert (outcome.error_class, "SMTPUTF8" in outcome.message) == (ErrorClass.PROVIDER_ERROR, True)


def test_a_login_by_digest_is_over_utf_8() -> None:
    challenge = b"<1896.697170952@postoffice.test>"
    asks = f"334 {base64.b64encode(challenge).decode()}"
    with Server(mail_talk("220 hi", "AUTH CRAM-MD5", AUTH=asks), tls=server_context()).running() as peer:
        caller_of(f"smtps://127.0.0.1:{peer.port}", MAIL, basic("jürgen", "pässwört"), tls=tls()).probe()
        [at] = [number for number, line in enumerate(peer.requests) if line.startswith(b"AUTH")]
        digest = hmac.new("pässwört".encode(), challenge, "md5").hexdigest()
        assert base64.b64decode(peer.requests[at + 1]) == f"jürgen {digest}".encode()


def test_mail_to_a_refused_address_is_not_dialled(mail_server: tuple[str, Mailbox]) -> None:
    url, _ = mail_server
    assert caller_of(url, MAIL, policy=AddressPolicy()).probe().error_class is ErrorClass.REFUSED_BY_POLICY


class MessagingConformance(Conformance):
    transport = MessagingTransport()
    settings: ClassVar[Any] = MessagingSettings()
    good = LOGIN
    bad = basic(USER, "canary-bad-password")


class TestRedisConformance(MessagingConformance):
    scheme = "redis"
    operations: ClassVar[dict[str, Any]] = {
        "small": MessagingOperation(action="consume", list="small", ack=False),
        "large": MessagingOperation(action="consume", list="large", ack=False),
    }
    small = ("small", None)
    large = ("large", None)

    @pytest.fixture
    def port(self, redis_relay: Relay, valkey_url: str) -> Iterator[int]:
        with redis.Redis.from_url(valkey_url) as admin:
            admin.rpush("small", "x")
            admin.rpush("large", "x" * (LARGE_BYTES + 100_000))
            yield redis_relay.port
            admin.delete("small", "large")


class TestAmqpConformance(MessagingConformance):
    scheme = "amqp"
    operations: ClassVar[dict[str, Any]] = {
        "small": MessagingOperation(action="consume", queue="small", ack=False, wait_seconds=5),
        "large": MessagingOperation(action="consume", queue="large", ack=False, wait_seconds=5),
    }
    small = ("small", None)
    large = ("large", None)

    @pytest.fixture
    def port(self, rabbitmq: int) -> int:
        return rabbitmq

    @pytest.fixture(autouse=True)
    def _filled(self, rabbitmq: int) -> None:
        with amqp.Connection(f"127.0.0.1:{rabbitmq}", userid=USER, password=PASSWORD) as admin:
            channel = admin.channel()
            for name, size, count in (("small", 1, 12), ("large", LARGE_BYTES + 100_000, 1)):
                channel.queue_declare(name, durable=False, auto_delete=False)
                channel.queue_purge(name)
                for _ in range(count):
                    channel.basic_publish(amqp.Message("x" * size), "", name)


class TestMqttConformance(MessagingConformance):
    scheme = "mqtt"
    operations: ClassVar[dict[str, Any]] = {
        "small": MessagingOperation(action="consume", topic="small", wait_seconds=5),
        "large": MessagingOperation(action="consume", topic="large", wait_seconds=5),
    }
    small = ("small", None)
    large = ("large", None)

    @pytest.fixture
    def port(self, mqtt: int) -> int:
        caller = caller_of(
            f"mqtt://127.0.0.1:{mqtt}",
            {name: {"action": "publish", "topic": name, "retain": True} for name in ("small", "large")},
        )
        caller.result("small", {"text": "x"})
        caller.result("large", {"text": "x" * (LARGE_BYTES + 100_000)})
        return mqtt


class TestSmtpConformance(MessagingConformance):
    scheme = "smtp"
    settings = MessagingSettings()
    operations: ClassVar[dict[str, Any]] = {
        "send": MessagingOperation(action="send", **{"from": "hub@sender.example"}),
    }
    small = ("send", {"to": "a@example.org", "text": "x"})
    large = ("send", {"to": "a@example.org", "text": "x"})
    tls = tls()
    # Half of what the server says is its part of the handshake.
    broken = frozenset({ErrorClass.RESET, ErrorClass.PROTOCOL, ErrorClass.TLS})
    exempt: ClassVar[dict[str, str]] = {
        "test_an_answer_over_the_cap_is_too_large_and_is_not_read_to_its_end": "a mail server's answers are short",
        "test_silence_in_the_middle_of_an_answer_ends_at_the_deadline": "it would be silence in the handshake",
    }

    @pytest.fixture
    def port(self) -> Iterator[int]:
        with running_smtp(server_context()) as box:
            yield box.port


# What W3C Trace Context, 3.2.1 gives as an example.
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def in_a_trace(credentials: Credentials) -> Credentials:
    """As the pipeline gives them: the trace context is sent on by what authenticates."""
    return replace(credentials, http=Traced(TRACEPARENT, Basic(credentials.parameters, credentials.secrets)))


def test_an_entry_of_a_stream_carries_the_trace(redis_caller: Caller, store: redis.Redis) -> None:
    redis_caller.credentials = in_a_trace(LOGIN)
    for given in (
        {"text": "x"},
        {"text": "x", "headers": {"Traceparent": "theirs"}},
        {"fields": {"plain": "1"}},
    ):
        redis_caller.result("add", {"parameters": {"shop": "a"}, **given})
    entries: list[Any] = [fields for _, fields in store.xrange("orders:a") or []]
    assert [entry.get("traceparent") for entry in entries] == [TRACEPARENT, None, None]
    assert PASSWORD not in str(entries)
    assert "Authorization" not in entries[0]
    redis_caller.result("push", {"text": "x"})
    assert store.lrange("jobs", 0, -1) == ["x"]


def test_a_message_of_a_queue_carries_the_trace(rabbitmq: int, queue: str) -> None:
    caller = caller_of(f"amqp://127.0.0.1:{rabbitmq}", AMQP, in_a_trace(LOGIN))
    q = {"parameters": {"q": queue}}
    caller.result("put", {**q, "text": "x"})
    [message] = caller.result("take", q)["messages"]
    assert message["headers"] == {"source": "hub", "traceparent": TRACEPARENT}


def test_a_mail_carries_the_trace(mail_server: tuple[str, Mailbox]) -> None:
    url, box = mail_server
    caller_of(url, MAIL, in_a_trace(LOGIN), tls=tls()).result("fixed", {"text": "x"})
    assert parsed(box)["traceparent"] == TRACEPARENT
    assert "Authorization" not in parsed(box)
    caller_of(url, MAIL, tls=tls()).result("fixed", {"text": "x"})
    assert parsed(box)["traceparent"] is None


def test_secrets_are_in_no_result(redis_caller: Caller) -> None:
    assert PASSWORD not in json.dumps(redis_caller.result("tell", {"text": "x"}))
    assert isinstance(redis_caller.credentials.secrets["password"], Secret)
