"""What is said about WebSocket services and their operations, and how inputs become messages."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from pydantic import ValidationError

from hub.core.errors import Invalid
from hub.core.secret import Secret
from hub.integrations.auth.mode import Credentials
from hub.integrations.transports.interface import Connection
from hub.integrations.transports.websocket import WebsocketTransport
from hub.integrations.transports.websocket.collecting import Collection, FullError
from hub.integrations.transports.websocket.conversation import Closed
from hub.integrations.transports.websocket.forms import Collect
from hub.integrations.transports.websocket.login import NotKnownError, filled
from hub.integrations.transports.websocket.messages import from_wire, to_wire
from hub.integrations.transports.websocket.verdicts import of_close

TRANSPORT = WebsocketTransport()


def settings(**given: Any) -> Any:
    return TRANSPORT.settings_form.model_validate(given)


def operation(**given: Any) -> Any:
    return TRANSPORT.operation_form.model_validate(given)


def connection(**given: Any) -> Connection:
    return Connection(
        id=uuid.UUID(int=1),
        tenant_id=uuid.UUID(int=2),
        base_url="wss://stream.example.com/v1",
        headers={},
        settings=settings(),
        operations={"talk": operation(**given)},
        follow_redirects=0,
        tls=None,
        pool_key="k",
    )


def paths(faults: Any) -> list[str]:
    return [fault.path for fault in faults]


def test_a_sound_definition_has_no_fault() -> None:
    sound = settings(
        subprotocols=["mqtt", "v1.json"],
        origin="https://app.example.com",
        login={
            "message": {"op": "auth", "token": "{{ token }}"},
            "accepted": {"ok": True},
            "refused": {"ok": False},
        },
        close_codes={"4401": "unauthorized"},
    )
    assert TRANSPORT.settings_faults(sound, "wss://stream.example.com") == []
    talk = operation(path="/ticks", query={"v": "2"}, messages=["hi"], collect={"until": {"type": "end"}})
    assert TRANSPORT.operation_faults(talk, sound, "operations.talk") == []


def test_every_fault_of_the_settings_is_named_at_once() -> None:
    wrong = settings(
        subprotocols=["a b", "x", "x"],
        origin="https://app.example.com/path",
        login={"message": {"a": ["{{ token"]}, "refused": {"x": {"$nope": 1}}},
    )
    assert paths(TRANSPORT.settings_faults(wrong, "wss://x")) == [
        "settings.subprotocols.0",
        "settings.subprotocols",
        "settings.origin",
        "settings.login.message.a.0",
        "settings.login.refused.x.$nope",
        "settings.login.accepted",
    ]


def test_every_fault_of_an_operation_is_named_at_once() -> None:
    wrong = operation(
        path="/a/%2e./b",
        query={"a": "ä"},
        messages=["fine", {"base64": "%"}, "\ud800"],
        collect={"until": {"a": {"$nope": 1}}, "only": {"b": {"$gt": []}}},
    )
    assert paths(TRANSPORT.operation_faults(wrong, None, "operations.talk")) == [
        "operations.talk.messages.1",
        "operations.talk.messages.2",
        "operations.talk.path",
        "operations.talk.query",
        "operations.talk.collect.until.a.$nope",
        "operations.talk.collect.only.b.$gt",
    ]


@pytest.mark.parametrize("path", ["a", "/a?b", "/a#b", "/a b", "/../a", "/%2E%2e", "/ä", "/./x"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    assert paths(TRANSPORT.operation_faults(operation(path=path), None, "o")) == ["o.path"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"close_codes": {"99": "ok"}},
        {"close_codes": {"4000": "nope"}},
        {"ping_seconds": 0},
        {"unknown": 1},
        {"login": {}},
    ],
    ids=str,
)
def test_settings_of_the_wrong_form_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_settings_survive_being_stored() -> None:
    given = settings(close_codes={"4401": "unauthorized"})
    stored = json.loads(json.dumps(given.model_dump(mode="json", exclude_defaults=True)))
    assert settings(**stored) == given


def test_an_input_becomes_messages() -> None:
    prepared = TRANSPORT.prepare(
        connection(path="/ticks", query={"v": "2 3"}),
        "talk",
        {"messages": ["a", {"b": 1}, {"base64": "AP8="}]},
    )
    assert prepared.endpoint == "wss://stream.example.com/v1/ticks?v=2+3"
    assert prepared.wire[1] == ("a", '{"b": 1}', b"\x00\xff")
    assert prepared.payload == {"messages": ["a", {"b": 1}, {"base64": "AP8="}]}
    assert not prepared.safe
    assert not prepared.idempotent


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("text", ["input"]),
        ({"messages": "text"}, ["input.messages"]),
        ({"message": "x", "to": 1}, ["input.message", "input.to"]),
        ({"messages": ["x"] * 1001}, ["input.messages"]),
        ({"messages": [{"base64": "?"}, "ok", {"a": "\udfff"}]}, ["input.messages.0", "input.messages.2"]),
    ],
    ids=["text", "no list", "unknown", "many", "unfit"],
)
def test_an_input_that_cannot_be_sent_is_refused_with_its_places(given: Any, expected: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        TRANSPORT.prepare(connection(), "talk", given)
    assert paths(refused.value.fields) == expected


def test_what_the_operation_says_of_safety_is_kept() -> None:
    prepared = TRANSPORT.prepare(connection(safe=True), "talk", None)
    assert prepared.safe
    assert prepared.idempotent
    prepared = TRANSPORT.prepare(connection(idempotent=True), "talk", None)
    assert not prepared.safe
    assert prepared.idempotent


@pytest.mark.parametrize("value", ["text", {"a": [1, None, "ü"]}, 5, None, True, {"base64": "AAEC"}], ids=str)
def test_a_message_reads_as_it_was_written(value: Any) -> None:
    assert from_wire(to_wire(value))[0] == value


@pytest.mark.parametrize("text", ["NaN", '{"a": Infinity}', "1e999", "[" * 200_000, "9" * 10_000], ids=len)
def test_what_json_cannot_carry_on_stays_text(text: str) -> None:
    assert json.loads(from_wire(text)[1]) == text


def test_a_login_fills_in_whole_values_and_never_syntax() -> None:
    secrets = {"token": Secret('a"b\\c'), "secrets.key": Secret("k")}
    credentials = Credentials("x", {"user": "u", "level": 3}, secrets)
    assert filled(
        {"t": "{{ token }}", "l": ["{{ level }}", 1], "s": "{{ user }}:{{ key }}"}, credentials
    ) == {
        "t": 'a"b\\c',
        "l": [3, 1],
        "s": "u:k",
    }
    with pytest.raises(NotKnownError) as error:
        filled("{{ nothing }}", credentials)
    assert 'a"b' not in str(error.value)


def test_a_collection_without_wishes_wants_one_message() -> None:
    collection = Collection(Collect(), 10_000)
    assert not collection.complete
    collection.add("x")
    assert collection.complete


def test_a_collection_with_another_wish_counts_nothing() -> None:
    collection = Collection(Collect(seconds=1), 10_000)
    for _ in range(50):
        collection.add("x")
    assert not collection.complete


def test_a_collection_is_never_longer_than_its_cap() -> None:
    collection = Collection(Collect(close=True), 2000)
    for _ in range(3):
        collection.add("\x01" * 50)
    with pytest.raises(FullError):
        collection.add("\x01" * 50)
    body = collection.body({"close_code": 1000, "close_reason": "\x01" * 123})
    assert len(body) <= 2000
    assert json.loads(body)["messages"][0] == "\x01" * 50


@pytest.mark.parametrize(
    ("begun", "meanings", "expected"),
    [(False, {}, "provider_busy"), (True, {}, "reset"), (True, {1013: "provider_busy"}, "provider_busy")],
    ids=["nothing came", "something came", "as the settings say"],
)
def test_try_again_later_says_that_nothing_was_done_only_when_nothing_came(
    begun: bool, meanings: dict[int, str], expected: str
) -> None:
    error_class, _ = of_close(Closed(1013, ""), meanings, expected=False, begun=begun)
    assert error_class == expected
