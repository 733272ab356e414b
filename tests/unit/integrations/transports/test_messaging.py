from __future__ import annotations

import base64
import importlib.util
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.dialled import Verdict
from hub.integrations.transports.interface import Connection
from hub.integrations.transports.messaging import MessagingTransport, mail, message, redis_consuming
from hub.integrations.transports.messaging import transport as module
from hub.integrations.transports.messaging.forms import MessagingOperation, MessagingSettings
from hub.integrations.transports.messaging.mail import Attachment, Mail
from hub.integrations.transports.messaging.message import BoundedSocket, Inbox
from hub.net.outcome import ErrorClass
from hub.net.sockets import Deadline


def prepared(form: dict[str, Any], given: Any, url: str = "redis://h") -> Any:
    connection = Connection(
        id=UUID(int=1), tenant_id=UUID(int=2), base_url=url, headers={}, settings=MessagingSettings(),
        operations={"do": MessagingOperation.model_validate(form)}, follow_redirects=0, tls=None, pool_key="k",
    )  # fmt: skip
    return MessagingTransport().prepare(connection, "do", given)


PUBLISH = {"action": "publish", "stream": "s"}


@pytest.mark.parametrize(
    ("given", "body", "content_type"),
    [
        ({"json": {"ü": 1}}, '{"ü":1}'.encode(), "application/json"),
        ({"json": None}, b"null", "application/json"),
        ({"text": "ü"}, "ü".encode(), "text/plain"),
        ({"base64": "/w=="}, b"\xff", None),
    ],
)
def test_a_message_has_one_of_three_forms(
    given: dict[str, Any], body: bytes, content_type: str | None
) -> None:
    task = prepared(PUBLISH, given).wire
    assert (task.message.body, task.message.content_type) == (body, content_type)


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({}, "input"),
        ({"text": "a", "json": 1}, "input"),
        ({"text": 5}, "input.text"),
        ({"text": "\ud800"}, "input.text"),
        ({"json": {"a": "\ud800"}}, "input.json"),
        ({"base64": "a"}, "input.base64"),
        ({"fields": {}}, "input.fields"),
        ({"fields": {"a": None}}, "input.fields.a"),
        ({"text": "a", "headers": {"a\n": "b"}}, "input.headers.a\n"),
        ({"text": "a", "headers": []}, "input.headers"),
        ({"text": "a", "parameters": {"x": "y"}}, "input.parameters.x"),
        ({"text": "a", "to": "x"}, "input.to"),
        ([], "input"),
    ],
)
def test_messages_that_are_none_are_refused(given: Any, at: str) -> None:
    with pytest.raises(Invalid) as caught:
        prepared(PUBLISH, given)
    assert at in {field.path for field in caught.value.fields}


@pytest.mark.parametrize("value", ["a/b", "+", "#", "", "a\0", None, True, "x" * 256])
def test_a_parameter_stays_in_its_place(value: Any) -> None:
    form = {"action": "publish", "topic": "devices/{id}/set"}
    with pytest.raises(Invalid) as caught:
        prepared(form, {"parameters": {"id": value}, "text": "a"}, "mqtt://h")
    assert [field.path for field in caught.value.fields] == ["input.parameters.id"]
    assert prepared(form, {"parameters": {"id": 7}, "text": "a"}, "mqtt://h").wire.place == "devices/7/set"


@pytest.mark.parametrize(
    ("form", "url"),
    [
        ({"action": "publish", "queue": "q"}, "redis://h"),
        ({"action": "publish", "stream": "s"}, "amqps://h"),
        ({"action": "publish", "topic": "t"}, "smtp://h"),
        ({"action": "send"}, "mqtt://h"),
    ],
)
def test_an_operation_of_another_protocol_is_refused(form: dict[str, Any], url: str) -> None:
    with pytest.raises(Invalid) as caught:
        prepared(form, {"text": "a"}, url)
    assert caught.value.fields[0].path == "operation"


def test_what_is_prepared_says_what_it_is() -> None:
    put = prepared(PUBLISH, {"text": "a"})
    assert (put.method, put.endpoint, put.safe, put.idempotent) == ("publish", "redis://h/s", False, False)
    assert put.payload == {"text": "a"}
    look = prepared({"action": "consume", "list": "l", "ack": False}, None)
    assert (look.method, look.safe, look.idempotent, look.payload) == ("consume", True, True, None)
    assert not prepared({"action": "consume", "list": "l"}, {}).safe


@pytest.mark.parametrize(
    ("form", "at"),
    [
        ({"action": "publish"}, ["o"]),
        ({"action": "publish", "topic": "t", "queue": "q"}, ["o"]),
        ({"action": "consume", "channel": "c"}, ["o.channel"]),
        ({"action": "publish", "exchange": "e"}, ["o.routing_key"]),
        ({"action": "publish", "queue": "q", "routing_key": "r"}, ["o.exchange"]),
        ({"action": "publish", "topic": "a/#"}, ["o.topic"]),
        ({"action": "consume", "list": "l", "group": "g"}, ["o.group"]),
        ({"action": "consume", "list": "l", "session": "g"}, ["o.session"]),
        ({"action": "consume", "list": "l", "safe": True}, ["o.safe"]),
        ({"action": "send", "queue": "q"}, ["o.queue"]),
        ({"action": "send", "from": "nobody"}, ["o.from"]),
        ({"action": "send", "from": "a@b.example", "headers": {"Bcc": "x@y.example"}}, ["o.headers.Bcc"]),
        ({"action": "consume", "topic": "a/#"}, []),
    ],
)
def test_operations_make_sense(form: dict[str, Any], at: list[str]) -> None:
    faults = MessagingTransport().operation_faults(MessagingOperation.model_validate(form), None, "o")
    assert [fault.path for fault in faults] == at


@pytest.mark.parametrize(
    ("url", "settings", "at"),
    [
        ("amqp://h/vhost", {}, []),
        ("amqp://h/%2F", {}, []),
        ("redis://h/0", {}, []),
        ("redis://h/x", {}, ["base_url"]),
        ("mqtt://h/x", {}, ["base_url"]),
        ("smtp://h/x", {}, ["base_url"]),
        ("smtp://h", {"tls": "disable", "helo": "me.example"}, []),
        ("smtps://h", {"tls": "disable"}, ["settings.tls"]),
        ("amqps://h", {"tls": "disable", "helo": "x"}, ["settings.tls", "settings.helo"]),
    ],
)
def test_settings_fit_the_address(url: str, settings: dict[str, Any], at: list[str]) -> None:
    faults = MessagingTransport().settings_faults(MessagingSettings(**settings), url)
    assert [fault.path for fault in faults] == at


def test_without_its_package_mqtt_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "find_spec", lambda name: None if name == "paho" else importlib.util.find_spec(name)
    )
    [fault] = MessagingTransport().settings_faults(MessagingSettings(), "mqtts://h")
    assert "integration-hub[mqtt]" in fault.message


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"to": "a@b.example\r\nBcc: x@y.example", "text": ""}, "input.to"),
        ({"to": "Me\r\nBcc: x <a@b.example>", "text": ""}, "input.to"),
        ({"to": "a@b.example, c@d.example", "text": ""}, "input.to"),
        ({"to": "<a@b.example> SIZE=5", "text": ""}, "input.to"),
        ({"to": [], "text": ""}, "input.to"),
        ({"to": "nobody", "text": ""}, "input.to"),
        ({"to": ["a@b.example"] * 101, "text": ""}, "input.to"),
        ({"to": "a@b.example", "cc": 5, "text": ""}, "input.cc"),
        ({"to": "a@b.example", "from": "x\n@y.example", "text": ""}, "input.from"),
        ({"to": "a@b.example", "subject": "Hi\r\nBcc: x@y.example", "text": ""}, "input.subject"),
        ({"to": "a@b.example", "subject": "Hi\u2028there", "text": ""}, "input.subject"),
        ({"to": "a@b.example"}, "input"),
        ({"to": "a@b.example", "text": 5}, "input.text"),
        ({"to": "a@b.example", "text": "\ud800"}, "input.text"),
        ({"to": "a@b.example", "text": "", "headers": {"X-A": "b\nBcc: x"}}, "input.headers.X-A"),
        ({"to": "a@b.example", "text": "", "headers": {"Bcc": "x@y.example"}}, "input.headers.Bcc"),
        ({"to": "a@b.example", "text": "", "headers": {"X-A\n": "b"}}, "input.headers.X-A\n"),
        ({"to": "a@b.example", "text": "", "headers": "X-A: b"}, "input.headers"),
        ({"to": "a@b.example", "text": "", "headers": None}, "input.headers"),
        ({"to": "a@b.example", "text": "", "attachments": [{"name": "../x", "base64": ""}]}, "input.attachments.0.name"),
        ({"to": "a@b.example", "text": "", "attachments": [{"name": "x\r\ny", "base64": ""}]}, "input.attachments.0.name"),
        ({"to": "a@b.example", "text": "", "attachments": [{"name": "x", "base64": "?"}]}, "input.attachments.0.base64"),
        (
            {"to": "a@b.example", "text": "", "attachments": [{"name": "x", "base64": "", "content_type": "a/b; c=d"}]},
            "input.attachments.0.content_type",
        ),
        ({"to": "a@b.example", "text": "", "body": "x"}, "input.body"),
    ],
)  # fmt: skip
def test_nothing_in_a_mail_becomes_a_header_of_its_own(given: dict[str, Any], at: str) -> None:
    with pytest.raises(Invalid) as caught:
        prepared({"action": "send", "from": "me@b.example"}, given, "smtp://h")
    assert at in {field.path for field in caught.value.fields}


def test_a_mail_is_written_as_it_was_meant() -> None:
    given = Mail(
        "Ü <me@b.example>", ["a@b.example"], bcc=["hidden@b.example"], subject="ü" * 200, html="<p>x</p>",
        attachments=[Attachment("ü.txt", "text/plain", b"\xff")], headers={"X-A": "ä"},
    )  # fmt: skip
    made = mail.compose(given, "<id@b.example>", datetime(2026, 1, 31, tzinfo=UTC))
    raw = bytes(made)
    assert b"hidden" not in raw
    assert raw.count(b"\nSubject:") == 1
    assert (made["Message-ID"], made["Subject"]) == ("<id@b.example>", "ü" * 200)
    assert base64.b64encode(b"\xff") in raw


def test_an_inbox_takes_what_fits() -> None:
    inbox = Inbox(10, 200)
    assert inbox.add(b"x" * 50, None, id="1")
    assert not inbox.add(b"x" * 90, None)
    assert (len(inbox), inbox.missing) == (1, 9)
    assert inbox.body() == b'{"count":1,"messages":[{"text":"' + b"x" * 50 + b'","id":"1"}]}'
    with pytest.raises(Verdict) as caught:
        Inbox(10, 100).add(b"x" * 90, None)
    assert caught.value.error_class is ErrorClass.TOO_LARGE


@pytest.mark.parametrize(
    ("body", "content_type", "shown"),
    [
        (b'{"a":1}', "application/json; charset=utf-8", {"json": {"a": 1}}),
        (b'{"a":1}', None, {"text": '{"a":1}'}),
        (b"no json", "application/json", {"text": "no json"}),
        (b"\xff", "text/plain", {"base64": "/w=="}),
        (b"[" * 100_000, "application/json", {"text": "[" * 100_000}),
    ],
)
def test_a_body_is_shown_as_what_it_is(body: bytes, content_type: str | None, shown: dict[str, Any]) -> None:
    assert message.shown(body, content_type) == shown


class EmptyList:
    """A Redis whose lists are empty.

    Args:
        now: the clock; it goes on while somebody waits.
    """

    def __init__(self, now: list[float]) -> None:
        self.now = now
        self.waits: list[float] = []

    def ask(self, *command: Any, max_bytes: int) -> list[bytes]:
        if command[0] == "BLMOVE":
            self.waits.append(float(command[-1]))
            self.now[0] += 1
        return [b"="]


def test_the_rest_of_a_wait_is_never_the_zero_that_redis_takes_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [5.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    form = {"action": "consume", "list": "l", "wait_seconds": 0.0002}
    server: Any = EmptyList(now)
    way = cast("Any", SimpleNamespace(deadline=Deadline(10)))
    found = redis_consuming.consume(server, prepared(form, None).wire, way, 1_000)
    assert (found, server.waits) == (b'{"count":0,"messages":[]}', [0.001])


class Endless:
    def recv(self, size: int, flags: int = 0) -> bytes:
        return b"x" * size


def test_a_call_reads_no_more_than_it_may() -> None:
    bounded = BoundedSocket(Endless(), 1_000)
    assert not bounded.heard
    for _ in range(6):
        bounded.recv(10_000)
    with pytest.raises(Verdict):
        bounded.recv(10_000)
    assert bounded.heard
    bounded.renew(1_000)
    assert len(bounded.recv(10_000)) == 10_000


def test_texts_have_plain_names() -> None:
    faults: list[FieldError] = []
    assert message.texts({"a": 1, "b": True, "c": 1.5, "d": "x"}, "at", faults) == {
        "a": "1", "b": "true", "c": "1.5", "d": "x",
    }  # fmt: skip
    assert faults == []
