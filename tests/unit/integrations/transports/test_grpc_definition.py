"""What is said about gRPC services and their operations, and how inputs become messages."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import subprocess
import sys
import uuid
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
    ServiceDescriptorProto,
)
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionResponse
from pydantic import ValidationError

from hub.core.errors import Invalid
from hub.integrations import extras
from hub.integrations.transports.grpc_calls import GrpcTransport, library
from hub.integrations.transports.grpc_calls.calls import Reply
from hub.integrations.transports.grpc_calls.channels import Channels, Opened
from hub.integrations.transports.grpc_calls.messages import (
    BadAnswerError,
    BombError,
    decompressed,
    from_wire,
    to_wire,
)
from hub.integrations.transports.grpc_calls.opening import Place
from hub.integrations.transports.grpc_calls.reflection import NotToldError, files_of
from hub.integrations.transports.grpc_calls.schema import BadSchemaError, Schema, from_text
from hub.integrations.transports.grpc_calls.verdicts import headers_of, is_unconnected, of_reply
from hub.integrations.transports.interface import Connection

TRANSPORT = GrpcTransport()
URL = "grpcs://service.example.com"


def a_file(name: str = "a.proto", **more: Any) -> FileDescriptorProto:
    """`pkg.Service` with the methods `Get` (safe) and `Push` (takes a stream)."""
    kinds = FieldDescriptorProto
    fields = [
        kinds(name="user_name", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL),
        kinds(name="age", number=2, type=kinds.TYPE_INT32, label=kinds.LABEL_OPTIONAL),
        kinds(name="id", number=3, type=kinds.TYPE_STRING, label=kinds.LABEL_REQUIRED),
        kinds(
            name="inner", number=4, type=kinds.TYPE_MESSAGE, label=kinds.LABEL_OPTIONAL, type_name=".pkg.User"
        ),
    ]
    get = MethodDescriptorProto(name="Get", input_type=".pkg.User", output_type=".pkg.User")
    get.options.idempotency_level = MethodOptions.NO_SIDE_EFFECTS
    push = MethodDescriptorProto(
        name="Push", input_type=".pkg.User", output_type=".pkg.User", client_streaming=True
    )
    return FileDescriptorProto(
        name=name,
        package="pkg",
        syntax="proto2",
        message_type=[DescriptorProto(name="User", field=fields)],
        service=[ServiceDescriptorProto(name="Service", method=[get, push])],
        **more,
    )


def text_of(*files: FileDescriptorProto) -> str:
    return base64.b64encode(FileDescriptorSet(file=files).SerializeToString()).decode()


TEXT = text_of(a_file())


def settings(**given: Any) -> Any:
    return TRANSPORT.settings_form.model_validate(given)


def operation(**given: Any) -> Any:
    return TRANSPORT.operation_form.model_validate({"method": "pkg.Service/Get", **given})


def connection(of_settings: Any | None = None, **given: Any) -> Connection:
    return Connection(
        id=uuid.UUID(int=1),
        tenant_id=uuid.UUID(int=2),
        base_url=URL,
        headers={},
        settings=of_settings or settings(descriptor_set=TEXT),
        operations={"do": operation(**given)},
        follow_redirects=0,
        tls=None,
        pool_key="k",
    )


def places(faults: Any) -> list[str]:
    return [fault.path for fault in faults]


def test_a_sound_definition_has_no_fault() -> None:
    sound = settings(descriptor_set=TEXT, authority="other.example.com:443")
    assert TRANSPORT.settings_faults(sound, URL) == []
    do = operation(message={"userName": "u"}, metadata={"x-a": "1", "x-b-bin": "AP8="})
    assert TRANSPORT.operation_faults(do, sound, "operations.do") == []
    assert TRANSPORT.settings_faults(settings(reflection=True), URL) == []


@pytest.mark.parametrize(
    ("given", "place", "said"),
    [
        ({}, "settings", "where message types come from"),
        ({"reflection": True, "descriptor_set": TEXT}, "settings", "where message types come from"),
        ({"descriptor_set": "%%"}, "settings.descriptor_set", "base64"),
        ({"descriptor_set": "AAAA"}, "settings.descriptor_set", "no FileDescriptorSet"),
        ({"descriptor_set": ""}, "settings.descriptor_set", "holds no file"),
        (
            {"descriptor_set": text_of(a_file(dependency=["gone.proto"]))},
            "settings.descriptor_set",
            "--include_imports",
        ),
        (
            {"descriptor_set": text_of(a_file(dependency=["a.proto"]))},
            "settings.descriptor_set",
            "imports itself",
        ),
        (
            {"descriptor_set": text_of(a_file(), a_file("b.proto"))},
            "settings.descriptor_set",
            "b.proto",
        ),
        ({"reflection": True, "authority": "unix:/run/x"}, "settings.authority", "service.example.com"),
        ({"reflection": True, "authority": "a\r\nb"}, "settings.authority", "service.example.com"),
    ],
    ids=["none", "both", "base64", "no set", "empty", "import", "cycle", "twice", "unix", "split"],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, Any], place: str, said: str) -> None:
    (fault,) = TRANSPORT.settings_faults(settings(**given), URL)
    assert fault.path == place
    assert said in fault.message


def test_a_descriptor_set_over_the_cap_is_refused() -> None:
    with pytest.raises(ValidationError):
        settings(descriptor_set="A" * 6_000_000)
    many = FileDescriptorSet(file=[FileDescriptorProto(name=f"{n}.proto") for n in range(1001)])
    with pytest.raises(BadSchemaError, match="at most 1000"):
        from_text(base64.b64encode(many.SerializeToString()).decode())


def test_an_address_with_a_path_is_refused() -> None:
    assert places(TRANSPORT.settings_faults(settings(reflection=True), f"{URL}/api")) == ["base_url"]


def test_every_fault_of_an_operation_is_named_at_once() -> None:
    wrong = operation(
        method="/pkg.Service/Get",
        metadata={"grpc-timeout": "1S", "Host": "x", "x a": "1", "x-b-bin": "?", "x-c": "ä", "te": "x"},
    )
    assert places(TRANSPORT.operation_faults(wrong, settings(descriptor_set=TEXT), "o")) == [
        "o.metadata.grpc-timeout",
        "o.metadata.Host",
        "o.metadata.'x a'",
        "o.metadata.x-b-bin",
        "o.metadata.x-c",
        "o.metadata.te",
        "o.method",
    ]


@pytest.mark.parametrize(
    ("given", "place", "said"),
    [
        ({"method": "pkg.Nope/Get"}, "o.method", "pkg.Service"),
        ({"method": "pkg.Service/Nope"}, "o.method", "Get, Push"),
        ({"message": {"nope": 1}}, "o.message", "no field named nope"),
        ({"message": {"age": "canary-secret"}}, "o.message", "does not fit"),
    ],
    ids=["service", "method", "field", "kind"],
)
def test_an_operation_that_the_types_do_not_know_is_refused(
    given: dict[str, Any], place: str, said: str
) -> None:
    (fault,) = TRANSPORT.operation_faults(operation(**given), settings(descriptor_set=TEXT), "o")
    assert fault.path == place
    assert said in fault.message
    assert "canary" not in fault.message


def test_an_operation_of_a_service_with_reflection_is_judged_by_its_form_alone() -> None:
    assert TRANSPORT.operation_faults(operation(method="x.Y/Z"), settings(reflection=True), "o") == []
    assert TRANSPORT.operation_faults(operation(method="x.Y/Z"), None, "o") == []


def test_an_input_becomes_a_message_and_safety_is_read_from_the_types() -> None:
    prepared = TRANSPORT.prepare(connection(message={"id": "1"}), "do", {"message": {"userName": "u"}})
    assert prepared.method == "pkg.Service/Get"
    assert prepared.endpoint == f"{URL}/pkg.Service/Get"
    assert prepared.payload == {"message": {"id": "1", "userName": "u"}}
    assert prepared.safe
    assert prepared.idempotent
    prepared = TRANSPORT.prepare(connection(method="pkg.Service/Push"), "do", {"messages": []})
    assert prepared.payload == {"messages": []}
    assert not prepared.safe
    assert TRANSPORT.prepare(connection(safe=False), "do", {"message": {"id": "1"}}).safe is False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("x", ["input"]),
        ({"message": [1], "other": 1}, ["input.other", "input.message"]),
        ({"message": {}, "messages": []}, ["input.messages"]),
        ({"messages": [{"id": "1"}]}, ["input.messages"]),
        ({"messages": {"id": "1"}}, ["input.messages"]),
        ({"message": {"nope": 1, "id": "1"}}, ["input.message"]),
        ({"message": {"inner": {"inner": {"nope": 1}}}}, ["input.message"]),
        ({"message": {"userName": "no id"}}, ["input.message"]),
        ({"message": {"id": "1", "age": 2**40}}, ["input.message"]),
        ({"message": {"id": "1"}, "metadata": {"grpc-x": "1"}}, ["input.metadata.grpc-x"]),
        ({"message": {"id": "1"}, "metadata": ["a"]}, ["input.metadata"]),
    ],
    ids=[
        "text",
        "list",
        "both",
        "stream",
        "object",
        "field",
        "inner",
        "required",
        "range",
        "key",
        "metadata",
    ],
)
def test_an_input_that_does_not_fit_is_refused_with_its_places(given: Any, expected: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        TRANSPORT.prepare(connection(), "do", given)
    assert places(refused.value.fields) == expected


def test_a_header_of_the_integration_that_is_no_metadata_is_named() -> None:
    wrong = replace(connection(), headers={"X-Fine": "1", "Content-Type": "text/plain"})
    with pytest.raises(Invalid) as refused:
        TRANSPORT.prepare(wrong, "do", {"message": {"id": "1"}})
    assert places(refused.value.fields) == ["headers.Content-Type"]


def test_every_message_of_a_stream_that_does_not_fit_is_named() -> None:
    given = {"messages": [{"id": "1"}, {"id": 2}, {"id": "3", "nope": 1}]}
    with pytest.raises(Invalid) as refused:
        TRANSPORT.prepare(connection(method="pkg.Service/Push"), "do", given)
    assert places(refused.value.fields) == ["input.messages.1", "input.messages.2"]


def test_without_the_packages_a_definition_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    (fault,) = TRANSPORT.settings_faults(settings(reflection=True), URL)
    assert fault.message == "needs the package grpcio: install integration-hub[grpc]"
    assert TRANSPORT.operation_faults(operation(), settings(descriptor_set=TEXT), "o") == []
    with pytest.raises(Invalid, match="integration-hub"):
        TRANSPORT.prepare(connection(), "do", {})


def test_preparing_loads_no_grpc_so_that_a_process_may_fork_after_it() -> None:
    script = (
        "import sys\n"
        "from tests.unit.integrations.transports.test_grpc_definition import *\n"
        "TRANSPORT.settings_faults(settings(descriptor_set=TEXT), URL)\n"
        "TRANSPORT.prepare(connection(), 'do', {'message': {'id': '1'}})\n"
        "assert 'grpc' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_package_is_named_so_that_grpc_is_the_library() -> None:
    assert library.grpc().__name__ == "grpc"
    assert hasattr(library.grpc(), "insecure_channel")


def test_the_librarys_own_log_which_repeats_texts_of_services_is_silent() -> None:
    library.grpc()
    assert not logging.getLogger("grpc._cython.cygrpc").isEnabledFor(logging.ERROR)


def test_a_gzip_message_is_inflated_within_the_cap_only() -> None:
    assert decompressed(b"\n\x01x", 10) == b"\n\x01x"
    assert decompressed(gzip.compress(b"\n\x01x"), 10) == b"\n\x01x"
    with pytest.raises(BombError):
        decompressed(gzip.compress(bytes(100_000)), 99_999)
    with pytest.raises(BadAnswerError):
        decompressed(gzip.compress(b"x" * 100)[:-9], 1000)
    with pytest.raises(BadAnswerError):
        decompressed(b"\x1f\x8bgarbage", 1000)


def test_a_message_that_is_none_is_a_bad_answer() -> None:
    types = Schema([a_file()])
    user = types.method("pkg.Service/Get").output_type
    for broken in (b"\xff\xff", b"\n\x05x"):
        with pytest.raises(BadAnswerError):
            from_wire(broken, user, types, proto_names=False, defaults=False)


def test_a_message_deeper_than_any_program_makes_is_a_bad_answer() -> None:
    types = Schema([a_file()])
    user = types.method("pkg.Service/Get").output_type
    nested: dict[str, Any] = {"id": "1"}
    for _ in range(90):
        nested = {"id": "1", "inner": nested}
    data = to_wire(nested, user, types)
    assert from_wire(data, user, types, proto_names=True, defaults=False) == nested
    for _ in range(200):
        length = len(data)
        head = bytearray()
        while length > 127:
            head.append(length & 127 | 128)
            length >>= 7
        data = b'"' + bytes([*head, length]) + data
    with pytest.raises(BadAnswerError):
        from_wire(data, user, types, proto_names=True, defaults=False)


def _answer(*encoded: bytes) -> bytes:
    answer = ServerReflectionResponse()
    answer.file_descriptor_response.file_descriptor_proto.extend(encoded)
    return bytes(answer.SerializeToString())


def test_imports_of_a_reflected_file_are_asked_for_once_each() -> None:
    files = {
        "a.proto": FileDescriptorProto(name="a.proto", dependency=["b.proto", "google/protobuf/any.proto"]),
        "b.proto": FileDescriptorProto(name="b.proto", dependency=["c.proto"]),
        "c.proto": FileDescriptorProto(name="c.proto"),
    }
    asked: list[list[bytes]] = []

    def ask(requests: Any) -> list[bytes]:
        asked.append(list(requests))
        return [_answer(files[f"{'abc'[len(asked) - 1]}.proto"].SerializeToString())]

    assert [file.name for file in files_of("x.Y", ask)] == ["a.proto", "b.proto", "c.proto"]
    assert len(asked) == 3


def test_a_reflection_that_never_ends_is_given_up() -> None:
    count = iter(range(10_000_000))

    def endless(requests: Any) -> list[bytes]:
        number = next(count)
        file = FileDescriptorProto(name=f"{number}.proto", dependency=[f"{number + 1}.proto"])
        return [_answer(file.SerializeToString())]

    with pytest.raises(NotToldError, match="descriptor set"):
        files_of("x.Y", endless)


def test_a_reflection_that_answers_nonsense_is_a_bad_answer() -> None:
    with pytest.raises(BadAnswerError):
        files_of("x.Y", lambda _: [b"\xff\xff"])
    with pytest.raises(BadAnswerError):
        files_of("x.Y", lambda _: [_answer(b"\xff\xff")])


_NEVER = "failed to connect to all addresses; last error: UNKNOWN: ipv4:192.0.2.1:443: "


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (f"{_NEVER}Failed to connect to remote host: connect: Connection refused (111)", "connect_refused"),
        (f"{_NEVER}connection attempt timed out before receiving SETTINGS frame", "connect_timeout"),
        (f"{_NEVER}Ssl handshake failed (TSI_PROTOCOL_FAILURE): CERTIFICATE_VERIFY_FAILED", "tls"),
        (f"{_NEVER}Peer name a.test is not in peer certificate", "tls"),
        (f"{_NEVER}Cannot check peer: missing selected ALPN property.", "protocol"),
        ("Socket closed", "reset"),
        ("Stream removed (GOAWAY received; Error code: 11; Debug Text: )", "reset"),
        ("recvmsg:Connection reset by peer", "reset"),
        ("keepalive watchdog timeout", "reset"),
        ("connection error: desc = transport: authentication handshake failed", "reset"),
        ("connection termination: i/o timeout", "reset"),
        ("the socket closed for today, try again tomorrow", "reset"),
        ("upstream connect error or disconnect/reset before headers. reset reason: overflow", "reset"),
        (_NEVER.replace("192.0.2.1", "198.51.100.7") + "Connection refused", "reset"),
        (_NEVER.replace(":443:", ":444:") + "Connection refused", "reset"),
        (f"while asking the store: {_NEVER}Connection refused", "reset"),
        ("", "reset"),
    ],
    ids=range(17),
)
def test_what_unavailable_means_is_read_from_grpcs_own_texts(details: str, expected: str) -> None:
    reply = Reply(code=14, name="UNAVAILABLE", details=details)
    reply.unconnected = is_unconnected(reply, ["192.0.2.2", "192.0.2.1"], 443)
    error_class, message = of_reply(reply)
    assert error_class == expected
    assert message.endswith(".")


def test_a_refused_address_of_version_six_is_known() -> None:
    text = "failed to connect to all addresses; last error: UNKNOWN: ipv6:%5B2001:db8::1%5D:443: Failed"
    reply = Reply(code=14, name="UNAVAILABLE", details=text)
    assert is_unconnected(reply, ["2001:db8::1"], 443)
    assert not is_unconnected(reply, ["2001:db8::1"], 44)
    assert not is_unconnected(reply, ["2001:db8::2"], 443)


@pytest.mark.parametrize("code", [2, 13])
def test_what_a_service_passes_on_of_a_third_one_is_its_own_error(code: int) -> None:
    reply = Reply(code=code, name="UNKNOWN", details=f"Exception calling application: {_NEVER}refused")
    reply.unconnected = is_unconnected(reply, ["192.0.2.1"], 443)
    assert of_reply(reply)[0] == "provider_error"


@pytest.mark.parametrize(
    ("code", "pushback", "messages", "expected"),
    [
        (14, "2500", [], "provider_busy"),
        (14, "0", [], "provider_busy"),
        (14, "-1", [], "reset"),
        (14, "soon", [], "reset"),
        (14, None, [], "reset"),
        (14, "2500", [b""], "reset"),
        (8, None, [], "rate_limited"),
        (8, "2500", [], "rate_limited"),
        (8, None, [b""], "reset"),
        (8, "2500", [b""], "reset"),
    ],
)
def test_a_call_is_surely_not_done_only_when_the_service_says_so_and_nothing_had_come(
    code: int, pushback: str | None, messages: list[bytes], expected: str
) -> None:
    trailing = () if pushback is None else (("grpc-retry-pushback-ms", pushback),)
    reply = Reply(code=code, name="NAME", details="no", messages=messages, trailing=trailing)
    error_class, message = of_reply(reply)
    assert error_class == expected
    assert message.endswith(": no.")


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ("CLIENT: Received message larger than max (3000 vs. 1000)", "too_large"),
        ("Stream removed (CLIENT: Received message larger than max (3000 vs. 1000))", "too_large"),
        ("SERVER: Received message larger than max (3000 vs. 1000)", "provider_error"),
        ("SERVER: Sent message larger than max (3000 vs. 1000)", "provider_error"),
        ("grpc: received message larger than max (3000 vs. 1000)", "provider_error"),
        ("gRPC message exceeds maximum size 1000: 3000", "provider_error"),
        ("slow down", "rate_limited"),
    ],
    ids=["ours", "ours wrapped", "its", "its own answer", "Go", "Java", "other"],
)
def test_a_message_over_a_limit_says_whose_limit(details: str, expected: str) -> None:
    error_class, message = of_reply(Reply(code=8, name="RESOURCE_EXHAUSTED", details=details))
    assert error_class == expected
    assert ("the service allows" in message) == (expected == "provider_error")
    assert ("The answer is longer" in message) == (expected == "too_large")


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ("Stream removed (Failed parsing HTTP/2 (Failed huffman decoding '\x9e\xb4' metadata))", "protocol"),
        ("Stream removed (Received RST_STREAM with error code 2)", "reset"),
        ("the database is gone", "provider_error"),
    ],
    ids=["garbage", "stream", "own"],
)
def test_internal_is_the_services_own_word_unless_grpc_said_it(details: str, expected: str) -> None:
    error_class, message = of_reply(Reply(code=13, name="INTERNAL", details=details))
    assert error_class == expected
    assert message.isprintable()


@pytest.mark.parametrize(
    ("pushback", "expected"),
    [("0", "0"), ("1", "1"), ("1500", "2"), ("-1", None), ("soon", None), ("9" * 30, None)],
)
def test_a_pushback_is_a_wait_in_seconds(pushback: str, expected: str | None) -> None:
    reply = Reply(code=14, name="UNAVAILABLE", trailing=(("grpc-retry-pushback-ms", pushback),))
    assert headers_of(reply).get("retry-after") == expected


@pytest.mark.parametrize(
    ("url", "authority", "expected"),
    [
        ("grpcs://a.test", None, ("a.test", 443, True, "a.test", "a.test")),
        ("grpc://a.test", None, ("a.test", 50051, False, "a.test", "a.test")),
        ("grpcs://a.test:8443", "b.test:1", ("a.test", 8443, True, "b.test:1", "b.test")),
        (
            "grpcs://[2001:db8::1]:8443",
            None,
            ("2001:db8::1", 8443, True, "[2001:db8::1]:8443", "2001:db8::1"),
        ),
    ],
    ids=["tls", "plain", "authority", "six"],
)
def test_an_address_says_where_and_who(url: str, authority: str | None, expected: tuple[Any, ...]) -> None:
    place = Place.of(url, authority)
    assert (place.host, place.port, place.secure, place.authority, place.name) == expected


class _Channel:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def _opened() -> Opened:
    return Opened(_Channel(), ("192.0.2.1",))


def test_channels_over_the_cap_are_closed_oldest_first_but_never_under_a_call() -> None:
    channels = Channels(most=2)
    made: dict[str, Opened] = {}

    def make(key: str) -> Opened:
        made[key] = _opened()
        return made[key]

    with channels.use("a", lambda: make("a"), 1) as held:
        for key in "bcd":
            with channels.use(key, lambda key=key: make(key), 1):  # type: ignore[misc]
                pass
        assert held.channel.closed == 0
    assert {key: opened.channel.closed for key, opened in made.items()} == {"a": 1, "b": 1, "c": 0, "d": 0}
    assert len(channels) == 2
    channels.close()
    assert made["d"].channel.closed == 1


def test_a_dropped_or_old_channel_is_made_anew() -> None:
    channels = Channels(seconds=100)
    first, second, third = _opened(), _opened(), _opened()
    with channels.use("k", lambda: first, 1) as opened:
        assert opened is first
    with channels.use("k", lambda: second, 1) as opened:
        assert opened is first
        channels.drop("k", opened)
        assert first.channel.closed == 0
    assert first.channel.closed == 1
    with channels.use("k", lambda: second, 1) as opened:
        assert opened is second
    second.made_at -= 101
    with channels.use("k", lambda: third, 1) as opened:
        assert opened is third
    assert second.channel.closed == 1


def test_what_opening_raises_goes_to_the_caller_and_the_next_one_tries_again() -> None:
    channels = Channels()

    def broken() -> Opened:
        raise OSError

    with pytest.raises(OSError), channels.use("k", broken, 1):
        pass
    with channels.use("k", _opened, 1):
        pass


def test_settings_survive_being_stored() -> None:
    given = settings(descriptor_set=TEXT, health="")
    stored = json.loads(json.dumps(given.model_dump(mode="json", exclude_defaults=True)))
    assert settings(**stored) == given
