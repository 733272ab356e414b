"""The gRPC transport against grpcio's own server."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest
import trustme
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from hub.core.secret import Secret
from hub.integrations.auth.api_key import ApiKey
from hub.integrations.auth.bearer import Bearer
from hub.integrations.auth.mode import Credentials
from hub.integrations.transports.grpc_calls import GrpcTransport, schema
from hub.integrations.transports.grpc_calls import opening as opening_module
from hub.integrations.transports.interface import Caps, Connection
from hub.net.cancellation import Cancellation
from hub.net.client_certificate import ClientCertificate
from hub.net.identity import TlsIdentity
from hub.net.identity import context as tls_context
from hub.net.outcome import ErrorClass, Outcome
from hub.net.policy import AddressPolicy
from hub.net.session import GuardedSession
from tests.integration.integrations.transports.conformance import LARGE_BYTES, Conformance
from tests.integration.integrations.transports.grpc_peer import (
    TOKEN,
    Peer,
    as_text,
    compiled,
    http1,
    resetting,
    serving,
    silent,
)
from tests.integration.integrations.transports.relay import Relay
from tests.support.waiting import until


def bearer(token: str) -> Credentials:
    secrets = {"token": Secret(token)}
    return Credentials("bearer", {"mode": "bearer"}, secrets, Bearer({}, secrets))


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with serving(tmp_path_factory.mktemp("grpc")) as running:
        yield running


@pytest.fixture
def session() -> Iterator[GuardedSession]:
    made = GuardedSession(AddressPolicy(allow=["127.0.0.0/8", "::1/128"], ports=[0]))
    yield made
    made.close()


@pytest.fixture
def transport() -> Iterator[GrpcTransport]:
    made = GrpcTransport()
    yield made
    made.close()


def connection_to(
    peer: Peer,
    operation: Mapping[str, Any],
    *,
    url: str | None = None,
    tls: TlsIdentity | None = None,
    pool_key: Any = None,
    **settings: Any,
) -> Connection:
    if "reflection" not in settings and "descriptor_set" not in settings:
        settings["descriptor_set"] = peer.text
    return Connection(
        id=uuid.uuid4(),
        tenant_id=uuid.uuid4(),
        base_url=url or peer.url,
        headers={"X-Ours": "yes"},
        settings=GrpcTransport.settings_form.model_validate(settings),
        operations={"do": GrpcTransport.operation_form.model_validate(operation)},
        follow_redirects=0,
        tls=tls,
        pool_key=pool_key or uuid.uuid4(),
    )


class Caller:
    """Calls one peer with one transport."""

    def __init__(self, transport: GrpcTransport, session: GuardedSession, peer: Peer) -> None:
        self._transport = transport
        self._session = session
        self._peer = peer

    def __call__(
        self,
        method: str,
        given: Any = None,
        *,
        operation: Mapping[str, Any] | None = None,
        credentials: Credentials | None = None,
        caps: Caps | None = None,
        **rest: Any,
    ) -> Outcome:
        connection = connection_to(
            self._peer, {"method": f"shop.v1.Shop/{method}", **(operation or {})}, **rest
        )
        prepared = self._transport.prepare(connection, "do", given)
        return self._transport.send(
            self._session, connection, prepared, credentials or Credentials(), caps or Caps(timeout=10)
        )


@pytest.fixture
def call(transport: GrpcTransport, session: GuardedSession, peer: Peer) -> Caller:
    return Caller(transport, session, peer)


def body_of(outcome: Outcome) -> Any:
    assert outcome.ok, (outcome.error_class, outcome.message)
    assert outcome.headers["content-type"] == "application/json"
    return json.loads(outcome.body)


SOURCES = [{}, {"reflection": True}]


@pytest.mark.parametrize("source", SOURCES, ids=["descriptor set", "reflection"])
def test_a_unary_call_answers_with_the_message_and_its_metadata(call: Caller, source: dict[str, Any]) -> None:
    outcome = call("Get", {"message": {"itemId": "i-1"}}, **source)
    assert body_of(outcome) == {"itemId": "i-1"}
    assert outcome.peer == "127.0.0.1"
    assert outcome.headers["grpc-status"] == "0"
    assert outcome.headers["x-request-id"] == "r-1"
    assert outcome.headers["x-cost"] == "3"
    assert outcome.headers["x-raw-bin"] == "AP8="
    assert outcome.timings.dns_ms is not None


@pytest.mark.parametrize("source", SOURCES, ids=["descriptor set", "reflection"])
def test_every_kind_of_field_goes_there_and_back(call: Caller, source: dict[str, Any]) -> None:
    item = {
        "itemId": "ü",
        "price": {"currency": "EUR", "cents": "9007199254740993"},
        "stamp": {"at": "2026-11-23T01:02:03Z"},
        "kind": "KIND_BOOK",
        "picture": "AP8=",
        "extra": {"a": [1, None, {"b": True}]},
        "detail": {"@type": "type.googleapis.com/shop.types.Price", "currency": "USD"},
        "tags": ["x", "y"],
        "scores": {"7": 1.5, "8": "NaN"},
        "box": 3,
    }
    assert body_of(call("Put", {"message": item}, **source)) == item


def test_field_names_and_defaults_are_shown_as_the_settings_say(call: Caller) -> None:
    given = {"message": {"item_id": "i"}}
    assert body_of(call("Get", given, proto_field_names=True)) == {"item_id": "i"}
    shown = body_of(call("Get", given, default_values=True))
    assert shown["kind"] == "KIND_UNKNOWN"
    assert shown["tags"] == []


def test_a_stream_of_answers_is_collected(call: Caller) -> None:
    shown = body_of(call("List", {"message": {"count": 3}}))
    assert [item["itemId"] for item in shown["messages"]] == ["0", "1", "2"]


def test_a_stream_ends_when_enough_has_come(call: Caller, peer: Peer) -> None:
    peer.cancelled.clear()
    outcome = call("List", {"message": {"count": 1000, "pauseMs": 10}}, operation={"collect": {"count": 2}})
    assert len(body_of(outcome)["messages"]) == 2
    assert peer.cancelled.wait(5), "the service was not told that nobody reads"


def test_a_stream_ends_after_the_time_that_was_given_to_it(call: Caller) -> None:
    outcome = call(
        "List", {"message": {"count": 10_000, "pauseMs": 20}}, operation={"collect": {"seconds": 0.5}}
    )
    assert 1 <= len(body_of(outcome)["messages"]) <= 25
    assert outcome.timings.total_ms < 3000


def test_a_stream_in_which_nothing_came_in_its_time_is_empty(call: Caller) -> None:
    outcome = call(
        "List", {"message": {"count": 1, "pauseMs": 1500}}, operation={"collect": {"seconds": 0.4}}
    )
    assert body_of(outcome) == {"messages": []}


@pytest.mark.parametrize("said", [b"", b"\x00"], ids=["nothing", "half a frame"])
def test_a_stream_of_a_port_that_is_silent_is_no_quiet_stream(call: Caller, said: bytes) -> None:
    with silent(said) as port:
        outcome = call(
            "List",
            {"message": {"count": 1}},
            operation={"collect": {"seconds": 0.4}},
            url=f"grpc://127.0.0.1:{port}",
        )
    assert outcome.error_class is ErrorClass.TIMEOUT
    assert "messages" not in json.loads(outcome.body)


def test_a_stream_of_messages_is_sent(call: Caller) -> None:
    outcome = call("Sum", {"messages": [{"value": 1}, {"value": "20"}]})
    assert body_of(outcome) == {"value": "21", "count": 2}
    assert body_of(call("Sum", {"messages": []})) == {}


def test_both_sides_stream(call: Caller) -> None:
    outcome = call("Chat", {"messages": [{"value": number} for number in range(3)]})
    assert body_of(outcome)["messages"] == [{}, {"value": "10"}, {"value": "20"}]


def test_the_operation_gives_fields_that_the_input_leaves_out(call: Caller) -> None:
    operation = {"message": {"itemId": "default", "size": 1}}
    assert body_of(call("Get", {"message": {"size": 0}}, operation=operation)) == {"itemId": "default"}


def test_metadata_and_credentials_travel(call: Caller, peer: Peer) -> None:
    outcome = call(
        "Get",
        {"metadata": {"X-Trace": "t-1", "x-raw-bin": "AP8="}},
        operation={"metadata": {"x-fixed": "f"}},
        credentials=bearer(TOKEN),
    )
    assert outcome.ok
    given = peer.metadata[-1]
    assert given["x-trace"] == "t-1"
    assert given["x-fixed"] == "f"
    assert given["x-ours"] == "yes"
    assert given["x-raw-bin"] == b"\x00\xff"
    assert given["authorization"] == f"Bearer {TOKEN}"
    assert "content-length" not in given
    assert given["user-agent"].startswith("Integration-Hub/1")


def test_a_key_that_would_travel_in_a_query_is_refused_without_being_told(call: Caller, peer: Peer) -> None:
    before = len(peer.metadata)
    secrets = {"key": Secret("canary-key-123")}
    parameters = {"in": "query", "name": "key"}
    outcome = call(
        "Get", credentials=Credentials("api_key", parameters, secrets, ApiKey(parameters, secrets))
    )
    assert outcome.error_class is ErrorClass.INTERNAL
    assert "query" in outcome.message
    assert "canary" not in outcome.message
    assert len(peer.metadata) == before


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (3, ErrorClass.PROVIDER_ERROR),
        (4, ErrorClass.TIMEOUT),
        (5, ErrorClass.PROVIDER_ERROR),
        (7, ErrorClass.PROVIDER_ERROR),
        (8, ErrorClass.RATE_LIMITED),
        (13, ErrorClass.PROVIDER_ERROR),
        (14, ErrorClass.RESET),
        (16, ErrorClass.UNAUTHORIZED),
    ],
)
def test_a_status_has_its_class_and_stays_visible(call: Caller, code: int, expected: ErrorClass) -> None:
    outcome = call("Fail", {"message": {"code": code, "text": "for a reason", "trailing": {"x-id": "7"}}})
    assert outcome.error_class is expected
    assert outcome.headers["grpc-status"] == str(code)
    assert outcome.headers["grpc-message"] == "for a reason"
    assert outcome.headers["x-id"] == "7"
    error = json.loads(outcome.body)["error"]
    assert (error["code"], error["message"]) == (code, "for a reason")


def test_a_text_that_cannot_be_printed_is_shown_without_that(call: Caller) -> None:
    outcome = call("Fail", {"message": {"code": 13, "text": "bro\u0085ken\u200b"}})
    assert outcome.error_class is ErrorClass.PROVIDER_ERROR
    assert outcome.message.isprintable()
    assert "bro ken" in outcome.message


def test_the_wait_that_a_service_asks_for_becomes_a_header(call: Caller) -> None:
    trailing = {"grpc-retry-pushback-ms": "2500"}
    outcome = call("Fail", {"message": {"code": 14, "text": "later", "trailing": trailing}})
    assert outcome.headers["retry-after"] == "3"
    assert outcome.error_class is ErrorClass.PROVIDER_BUSY


def test_details_of_an_error_are_shown_and_their_wait_is_kept(call: Caller, peer: Peer) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="item_id", description="is not known")
    price = GetMessageClass(schema.from_text(peer.text).pool.FindMessageTypeByName("shop.types.Price"))(
        currency="EUR", cents=5
    )
    status = Status(code=8, message="slow down")
    for message in (
        error_details_pb2.BadRequest(field_violations=[violation]),
        error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=200_000_000)),
        price,
    ):
        status.details.add().Pack(message)
    status.details.add(type_url="type.googleapis.com/no.Such", value=b"\x00\xff")
    sent = rpc_status.to_status(status)
    trailing = {key: base64.b64encode(value).decode() for key, value in sent.trailing_metadata}
    outcome = call("Fail", {"message": {"code": 8, "text": sent.details, "trailing": trailing}})
    assert outcome.error_class is ErrorClass.RATE_LIMITED
    assert outcome.headers["retry-after"] == "2"
    assert json.loads(outcome.body)["error"]["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "item_id", "description": "is not known"}],
        },
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.200s"},
        {"@type": "type.googleapis.com/shop.types.Price", "currency": "EUR", "cents": "5"},
        {"@type": "type.googleapis.com/no.Such", "value": "AP8="},
    ]


def test_a_service_that_passes_on_that_it_reached_nobody_may_have_done_something(call: Caller) -> None:
    text = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.9:1: Connection refused"
    outcome = call("Fail", {"message": {"code": 14, "text": text}})
    assert outcome.error_class is ErrorClass.RESET


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_port_where_nobody_listens_is_known_to_be_one(call: Caller, host: str) -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as unused:
        port = unused.getsockname()[1]
    outcome = call("Get", url=f"grpc://{host}:{port}")
    assert outcome.error_class is ErrorClass.CONNECT_REFUSED


def test_a_message_over_the_services_limit_is_not_told_as_a_long_answer(
    tmp_path: Path, transport: GrpcTransport, session: GuardedSession
) -> None:
    with serving(tmp_path, max_receive_bytes=1000) as own:
        call = Caller(transport, session, own)
        outcome = call("Get", {"message": {"itemId": "x" * 2000}})
    assert outcome.error_class is ErrorClass.PROVIDER_ERROR
    assert "longer than the service allows" in outcome.message
    assert not outcome.truncated


def test_a_reflection_that_is_not_available_leaves_the_call_unsent(call: Caller) -> None:
    with resetting() as port:
        outcome = call("Get", url=f"grpc://127.0.0.1:{port}", reflection=True)
    assert outcome.error_class is ErrorClass.PROVIDER_BUSY
    assert outcome.message.startswith("Nothing was sent: ")


@pytest.mark.parametrize(
    ("code", "expected"),
    [(8, ErrorClass.RESET), (13, ErrorClass.PROVIDER_ERROR), (14, ErrorClass.RESET)],
)
def test_what_came_before_an_error_is_kept(call: Caller, code: int, expected: ErrorClass) -> None:
    outcome = call("FailLate", {"message": {"code": code, "text": "broke", "after": 2}})
    assert outcome.error_class is expected
    shown = json.loads(outcome.body)
    assert [item["itemId"] for item in shown["messages"]] == ["0", "1"]
    assert shown["error"]["code"] == code


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip], ids=["plain", "gzip"])
def test_answers_over_the_cap_are_too_large_also_when_they_are_compressed(
    tmp_path: Path, transport: GrpcTransport, session: GuardedSession, compression: Any
) -> None:
    with serving(tmp_path, compression=compression) as own:
        call = Caller(transport, session, own)
        small = Caps(timeout=10, max_bytes=100_000)
        assert body_of(call("Get", {"message": {"itemId": "x" * 500}}, caps=small)) == {"itemId": "x" * 500}
        outcome = call("Get", {"message": {"size": 3_000_000}}, caps=small)
        assert outcome.error_class is ErrorClass.TOO_LARGE
        outcome = call("List", {"message": {"count": 100, "size": 5000}}, caps=small)
        assert outcome.error_class is ErrorClass.TOO_LARGE
        assert len(outcome.body) <= 100_000


def test_empty_answers_count_too(call: Caller) -> None:
    zeros = {"messages": [{"value": 0}] * 300}
    assert body_of(call("Chat", zeros, caps=Caps(timeout=10, max_bytes=1500)))["messages"] == [{}] * 300
    outcome = call("Chat", zeros, caps=Caps(timeout=10, max_bytes=1300))
    assert outcome.error_class is ErrorClass.TOO_LARGE


def test_a_message_has_a_cap_of_its_own(call: Caller) -> None:
    outcome = call("Get", {"message": {"size": 5000}}, max_message_bytes=1000)
    assert outcome.error_class is ErrorClass.TOO_LARGE


def test_the_deadline_goes_along_and_ends_the_call(call: Caller, peer: Peer) -> None:
    peer.cancelled.clear()
    outcome = call("Hang", caps=Caps(timeout=0.5))
    assert outcome.error_class is ErrorClass.TIMEOUT
    assert outcome.timings.total_ms < 2000
    assert peer.cancelled.wait(5)


@pytest.mark.parametrize("method", ["Hang", "List"])
def test_cancelling_ends_the_call_at_the_service_too(call: Caller, peer: Peer, method: str) -> None:
    peer.cancelled.clear()
    peer.hanging.clear()
    cancellation = Cancellation()
    given = {"message": {"count": 10_000, "pauseMs": 20}} if method == "List" else None
    outcomes: list[Outcome] = []
    thread = threading.Thread(
        target=lambda: outcomes.append(
            call(method, given, caps=Caps(timeout=30, max_bytes=64_000_000, cancellation=cancellation))
        )
    )
    thread.start()
    # A handler that has not begun is never told.
    assert peer.hanging.wait(5)
    cancellation.cancel()
    thread.join(5)
    assert outcomes[0].error_class is ErrorClass.CANCELLED
    assert peer.cancelled.wait(5)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_versions_of_reflection_are_understood(
    tmp_path: Path, transport: GrpcTransport, session: GuardedSession, version: str
) -> None:
    with serving(tmp_path, reflect=version) as own:
        call = Caller(transport, session, own)
        assert body_of(call("Get", {"message": {"itemId": "a"}}, reflection=True)) == {"itemId": "a"}


def test_types_are_asked_for_once(call: Caller, peer: Peer) -> None:
    key = uuid.uuid4()
    assert call("Get", reflection=True, pool_key=key).ok
    before = len(peer.metadata)
    assert call("Get", reflection=True, pool_key=key).ok
    assert len(peer.metadata) == before + 1


def test_reflection_carries_the_credentials(
    tmp_path: Path, transport: GrpcTransport, session: GuardedSession
) -> None:
    with serving(tmp_path, token=TOKEN) as own:
        call = Caller(transport, session, own)
        assert call("Get", reflection=True, credentials=bearer(TOKEN)).ok
        outcome = call("Get", reflection=True, credentials=bearer("wrong-canary"))
        assert outcome.error_class is ErrorClass.UNAUTHORIZED


def test_a_service_without_reflection_says_what_to_do(
    tmp_path: Path, transport: GrpcTransport, session: GuardedSession
) -> None:
    with serving(tmp_path, reflect=None) as own:
        outcome = Caller(transport, session, own)("Get", reflection=True)
        assert outcome.error_class is ErrorClass.PROVIDER_ERROR
        assert "descriptor set" in outcome.message


@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        ("Get", {"message": {"nope": 1}}, "input.message"),
        ("Get", {"message": {"itemId": {"a": "canary-value"}}}, "input.message"),
        ("Get", {"messages": [{}]}, "one `message`"),
        ("Nope", {}, "Nope"),
    ],
    ids=["unknown field", "wrong kind", "stream", "method"],
)
def test_with_reflection_a_bad_input_is_found_before_anything_of_the_call_leaves(
    call: Caller, peer: Peer, method: str, given: Any, said: str
) -> None:
    key = uuid.uuid4()
    assert call("Get", reflection=True, pool_key=key).ok
    before = len(peer.metadata)
    outcome = call(method, given, reflection=True, pool_key=key)
    assert outcome.error_class is ErrorClass.INVALID_INPUT
    assert said in outcome.message
    assert "canary" not in outcome.message
    assert len(peer.metadata) == before


def test_a_service_that_tells_no_such_service_is_a_provider_error(call: Caller) -> None:
    outcome = call("x", operation={"method": "no.such.Service/Get"}, reflection=True)
    assert outcome.error_class is ErrorClass.PROVIDER_ERROR
    assert "no.such.Service" in outcome.message


def test_calls_of_one_integration_share_a_connection(call: Caller, peer: Peer) -> None:
    key = uuid.uuid4()
    del peer.peers[:]
    for _ in range(3):
        assert call("Get", pool_key=key).ok
    assert len(set(peer.peers)) == 1
    assert call("Get").ok
    assert len(set(peer.peers)) == 2


def test_a_connection_without_calls_is_closed(
    call: Caller, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening_module, "IDLE_SECONDS", 1)
    key = uuid.uuid4()
    del peer.peers[:]
    assert call("Get", pool_key=key).ok
    port = int(peer.peers[0].rsplit(":", 1)[1])
    until(lambda: not _connected(port), what="the end of the idle connection")
    assert call("Get", pool_key=key).ok


def _connected(port: int) -> bool:
    """Whether a TCP connection from this port is established (proc(5))."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


def test_a_service_that_came_back_is_called_again(
    tmp_path: Path, transport: GrpcTransport, session: GuardedSession
) -> None:
    key = uuid.uuid4()
    with serving(tmp_path / "a") as first:
        assert Caller(transport, session, first)("Get", pool_key=key).ok
    outcome = Caller(transport, session, first)("Get", pool_key=key)
    assert outcome.error_class in {ErrorClass.CONNECT_REFUSED, ErrorClass.RESET}
    with serving(tmp_path / "b", port=first.port) as second:
        call = Caller(transport, session, second)
        until(lambda: call("Get", pool_key=key).ok)


def test_an_address_is_judged_again_when_its_channel_is_used_again(
    transport: GrpcTransport, session: GuardedSession, peer: Peer
) -> None:
    connection = connection_to(peer, {"method": "shop.v1.Shop/Get"})
    prepared = transport.prepare(connection, "do", None)
    assert transport.send(session, connection, prepared, Credentials(), Caps(timeout=5)).ok
    session.policy = AddressPolicy(ports=[0])
    outcome = transport.send(session, connection, prepared, Credentials(), Caps(timeout=5))
    assert outcome.error_class is ErrorClass.REFUSED_BY_POLICY


def test_proxies_of_the_environment_are_not_used(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert call("Get").ok


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_tls_is_checked_against_the_integrations_authorities(
    tmp_path: Path, transport: GrpcTransport, session: GuardedSession, authority: trustme.CA
) -> None:
    with serving(tmp_path, tls=authority.issue_cert("127.0.0.1")) as own:
        call = Caller(transport, session, own)
        url = own.url.replace("grpc://", "grpcs://")
        trusting = TlsIdentity(ca=authority.cert_pem.bytes())
        assert call("Get", url=url, tls=trusting).ok
        assert call("Get", url=url).error_class is ErrorClass.TLS
        other = TlsIdentity(ca=trustme.CA().cert_pem.bytes())
        assert call("Get", url=url, tls=other).error_class is ErrorClass.TLS
        wrong_name = call("Get", url=url, tls=trusting, authority="other.test")
        assert wrong_name.error_class is ErrorClass.TLS


def test_a_channel_is_kept_when_the_context_of_its_identity_was_given_up(
    tmp_path: Path, transport: GrpcTransport, session: GuardedSession, authority: trustme.CA
) -> None:
    with (
        serving(tmp_path, tls=authority.issue_cert("127.0.0.1")) as own,
        Relay(int(own.url.rpartition(":")[2])).running() as relay,
    ):
        call = Caller(transport, session, own)
        url, trusting = f"grpcs://127.0.0.1:{relay.port}", TlsIdentity(ca=authority.cert_pem.bytes())
        for _ in range(2):
            assert call("Get", url=url, tls=trusting, pool_key="one").ok
            tls_context.cache_clear()
    assert relay.connections == 1


def test_an_authority_takes_the_place_of_the_hosts_name(
    tmp_path: Path, transport: GrpcTransport, session: GuardedSession, authority: trustme.CA
) -> None:
    with serving(tmp_path, tls=authority.issue_cert("service.test")) as own:
        call = Caller(transport, session, own)
        url = own.url.replace("grpc://", "grpcs://")
        trusting = TlsIdentity(ca=authority.cert_pem.bytes())
        outcome = call("Get", url=url, tls=trusting, authority="service.test:443")
        assert outcome.ok, outcome.message
        assert call("Get", url=url, tls=trusting).error_class is ErrorClass.TLS


def test_a_client_certificate_is_shown(
    tmp_path: Path, transport: GrpcTransport, session: GuardedSession, authority: trustme.CA
) -> None:
    issued = authority.issue_cert("hub@example.com")
    chain = b"".join(one.bytes() for one in issued.cert_chain_pems).decode()
    key = Secret(issued.private_key_pem.bytes().decode())
    certificate = ClientCertificate.parse(chain, key, now=datetime.now(UTC))
    with serving(
        tmp_path, tls=authority.issue_cert("127.0.0.1"), client_ca=authority.cert_pem.bytes()
    ) as own:
        call = Caller(transport, session, own)
        url = own.url.replace("grpc://", "grpcs://")
        ca = authority.cert_pem.bytes()
        assert call("Get", url=url, tls=TlsIdentity(certificate, ca)).ok
        outcome = call("Get", url=url, tls=TlsIdentity(None, ca))
        assert outcome.error_class in {ErrorClass.TLS, ErrorClass.RESET}


def test_a_server_that_speaks_no_http2_is_a_protocol_error(call: Caller, authority: trustme.CA) -> None:
    with http1() as port:
        assert call("Get", url=f"grpc://127.0.0.1:{port}").error_class is ErrorClass.PROTOCOL
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with http1(context) as port:
        trusting = TlsIdentity(ca=authority.cert_pem.bytes())
        outcome = call("Get", url=f"grpcs://127.0.0.1:{port}", tls=trusting)
        assert outcome.error_class is ErrorClass.PROTOCOL, outcome.message


@pytest.mark.parametrize(
    ("settings", "health", "expected"),
    [
        ({}, 1, None),
        ({"reflection": True}, 1, None),
        ({"health": ""}, 1, None),
        ({"health": "shop"}, 2, ErrorClass.PROVIDER_BUSY),
        ({"health": "unknown"}, 1, ErrorClass.PROVIDER_ERROR),
    ],
    ids=["call", "reflection", "health", "not serving", "unknown"],
)
def test_a_probe_asks_as_the_settings_say(
    transport: GrpcTransport,
    session: GuardedSession,
    peer: Peer,
    settings: dict[str, Any],
    health: int,
    expected: ErrorClass | None,
) -> None:
    peer.health = health
    connection = connection_to(peer, {"method": "shop.v1.Shop/Get"}, **settings)
    outcome = transport.probe(session, connection, Credentials(), Caps(timeout=5))
    assert outcome.error_class is expected, outcome.message
    if settings.get("reflection"):
        assert "shop.v1.Shop" in json.loads(outcome.body)["services"]


@pytest.mark.parametrize(
    "settings", [{}, {"reflection": True}, {"health": ""}], ids=["call", "reflection", "health"]
)
def test_a_probe_proves_the_credentials(
    tmp_path: Path, transport: GrpcTransport, session: GuardedSession, settings: dict[str, Any]
) -> None:
    with serving(tmp_path, token=TOKEN) as own:
        connection = connection_to(own, {"method": "shop.v1.Shop/Get"}, **settings)
        assert transport.probe(session, connection, bearer(TOKEN), Caps(timeout=5)).ok
        outcome = transport.probe(session, connection, bearer("wrong"), Caps(timeout=5))
        assert outcome.error_class is ErrorClass.UNAUTHORIZED


class TestConformance(Conformance):
    transport = GrpcTransport()
    scheme = "grpc"
    operations: ClassVar = {
        "get": GrpcTransport.operation_form.model_validate({"method": "shop.v1.Shop/Get"})
    }
    small = ("get", {"message": {"itemId": "small"}})
    large = ("get", {"message": {"size": LARGE_BYTES + 1}})
    good = bearer(TOKEN)
    bad = bearer("canary-wrong-grpc-token")
    # One window of HTTP/2, and what is around it.
    read_ahead = 100_000

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _types(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        types = as_text(compiled(tmp_path_factory.mktemp("types")))
        cls.settings = GrpcTransport.settings_form.model_validate({"descriptor_set": types})

    @pytest.fixture(scope="class")
    @classmethod
    def port(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
        with serving(tmp_path_factory.mktemp("conformance"), token=TOKEN) as running:
            yield running.port

    @pytest.mark.parametrize("repeatable", [True, False])
    def test_a_kept_connection_that_ends_under_a_call_is_followed_by_a_new_one_where_that_does_no_harm(
        self, port: int, session: GuardedSession, repeatable: bool
    ) -> None:
        found: list[Outcome] = []
        with Relay(port).running() as relay:
            connection, prepared = self.prepare(self.url(relay.port), self.small, "k")
            prepared = replace(prepared, idempotent=repeatable)

            def call() -> None:
                found.append(self.transport.send(session, connection, prepared, self.good, Caps(10, 1 << 20)))

            call()
            assert found.pop().ok
            relay.held.set()
            sent = len(relay.sent)
            calling = threading.Thread(target=call)
            calling.start()
            until(lambda: len(relay.sent) > sent + 20, what="the call on the kept connection")
            # What was held on that connection stays so; the next one answers.
            relay.held.clear()
            relay.reset()
            calling.join(15)
        (outcome,) = found
        assert (outcome.error_class, relay.connections) == (
            (None, 2) if repeatable else (ErrorClass.RESET, 1)
        )
