"""The WebSocket transport against a real service, and against services that misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import socket
import ssl
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import trustme

from hub.core.secret import Secret
from hub.integrations.auth.basic import Basic
from hub.integrations.auth.bearer import Bearer
from hub.integrations.auth.mode import Credentials
from hub.integrations.pipeline.authenticating import Traced
from hub.integrations.transports.interface import Caps, Connection
from hub.integrations.transports.websocket import WebsocketTransport
from hub.net.cancellation import Cancellation
from hub.net.identity import TlsIdentity
from hub.net.outcome import ErrorClass, Outcome
from hub.net.policy import AddressPolicy
from hub.net.session import GuardedSession
from tests.integration.integrations.transports.conformance import Conformance
from tests.integration.integrations.transports.websocket_peer import TOKEN, Peer, raw, serving
from tests.support.waiting import until

TRANSPORT = WebsocketTransport()
BEARER = Credentials(
    "bearer", {"mode": "bearer"}, {"token": Secret(TOKEN)}, Bearer({}, {"token": Secret(TOKEN)})
)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with serving() as running:
        yield running


@pytest.fixture
def session() -> Iterator[GuardedSession]:
    made = GuardedSession(AddressPolicy(allow=["127.0.0.0/8"], ports=[0]))
    yield made
    made.close()


def connection_to(
    url: str, operation: Mapping[str, Any] | None = None, *, tls: TlsIdentity | None = None, **settings: Any
) -> Connection:
    return Connection(
        id=uuid.uuid4(),
        tenant_id=uuid.uuid4(),
        base_url=url,
        headers={"X-Ours": "yes"},
        settings=TRANSPORT.settings_form.model_validate(settings),
        operations={"talk": TRANSPORT.operation_form.model_validate(operation or {})},
        follow_redirects=3,
        tls=tls,
        pool_key=uuid.uuid4(),
    )


def call(
    session: GuardedSession,
    url: str,
    operation: Mapping[str, Any] | None = None,
    given: Any = None,
    *,
    credentials: Credentials | None = None,
    caps: Caps | None = None,
    tls: TlsIdentity | None = None,
    **settings: Any,
) -> Outcome:
    connection = connection_to(url, operation, tls=tls, **settings)
    prepared = TRANSPORT.prepare(connection, "talk", given)
    return TRANSPORT.send(
        session, connection, prepared, credentials or Credentials(), caps or Caps(timeout=10)
    )


def test_messages_go_out_and_answers_come_back(session: GuardedSession, peer: Peer) -> None:
    outcome = call(
        session,
        peer.url,
        {"path": "/echo", "collect": {"count": 3}},
        {"messages": ["hello", {"n": 1, "ü": ["ä"]}, {"base64": "AP8="}]},
    )
    assert outcome.ok, outcome.message
    assert json.loads(outcome.body) == {
        "messages": ["hello", {"n": 1, "ü": ["ä"]}, {"base64": "AP8="}],
        "close_code": None,
        "close_reason": None,
    }
    assert outcome.headers["content-type"] == "application/json"
    assert outcome.peer == "127.0.0.1"
    assert outcome.timings.connect_ms is not None
    assert outcome.timings.first_byte_ms is not None


def test_the_session_is_closed_normally_once_it_has_what_it_came_for(session: GuardedSession) -> None:
    with serving() as own:
        assert call(session, own.url, {"path": "/echo"}, {"messages": ["hi"]}).ok
        until(lambda: own.closed == [1000])


def test_messages_of_the_operation_are_sent_when_the_input_has_none(
    session: GuardedSession, peer: Peer
) -> None:
    outcome = call(session, peer.url, {"path": "/echo", "messages": ["ping"]})
    assert json.loads(outcome.body)["messages"] == ["ping"]


def test_sending_without_collecting_waits_until_the_service_has_read_it(session: GuardedSession) -> None:
    with serving() as own:
        outcome = call(session, own.url, {"path": "/sink", "collect": {"count": 0}}, {"messages": ["a", "b"]})
        assert outcome.ok
        until(lambda: own.received == ["a", "b"])


def test_a_filter_and_a_skip_choose_what_is_kept(session: GuardedSession, peer: Peer) -> None:
    outcome = call(
        session,
        peer.url,
        {"path": "/ticker", "collect": {"only": {"type": "tick"}, "skip": 2, "count": 3}},
    )
    assert [message["n"] for message in json.loads(outcome.body)["messages"]] == [2, 3, 4]


def test_a_message_that_matches_ends_the_session_and_is_kept(session: GuardedSession, peer: Peer) -> None:
    outcome = call(
        session, peer.url, {"path": "/ticker", "collect": {"until": {"n": 2}, "only": {"type": "tick"}}}
    )
    assert [message["n"] for message in json.loads(outcome.body)["messages"]] == [0, 1, 2]


def test_a_time_ends_the_session_with_what_came_until_then(session: GuardedSession, peer: Peer) -> None:
    outcome = call(
        session,
        peer.url,
        {"path": "/echo", "collect": {"seconds": 0.3}},
        {"messages": ["one", "two"]},
    )
    assert outcome.ok
    assert json.loads(outcome.body)["messages"] == ["one", "two"]
    assert 300 <= outcome.timings.total_ms < 3000


def test_the_close_of_the_service_ends_the_session(session: GuardedSession, peer: Peer) -> None:
    outcome = call(session, peer.url, {"path": "/three", "collect": {"close": True}})
    assert outcome.ok
    answer = json.loads(outcome.body)
    assert [message.get("n") for message in answer["messages"]] == [0, 1, 2, None]
    assert (answer["close_code"], answer["close_reason"]) == (1000, "that is all")


def test_a_close_that_comes_too_early_is_an_error_and_what_came_is_kept(
    session: GuardedSession, peer: Peer
) -> None:
    outcome = call(session, peer.url, {"path": "/three", "collect": {"count": 9}})
    assert outcome.error_class is ErrorClass.PROVIDER_ERROR
    assert "1000" in outcome.message
    assert len(json.loads(outcome.body)["messages"]) == 4


@pytest.mark.parametrize(
    ("code", "meanings", "expected"),
    [
        (4401, {"4401": "unauthorized"}, ErrorClass.UNAUTHORIZED),
        (1008, {"1008": "unauthorized"}, ErrorClass.UNAUTHORIZED),
        (4429, {"4429": "rate_limited"}, ErrorClass.RATE_LIMITED),
        (4000, {"4000": "ok"}, None),
        (1008, {}, ErrorClass.PROVIDER_ERROR),
        (1013, {}, ErrorClass.PROVIDER_BUSY),
        (1012, {}, ErrorClass.RESET),
        (1011, {}, ErrorClass.PROVIDER_ERROR),
    ],
)
def test_close_codes_have_the_meaning_that_the_settings_give_them(
    session: GuardedSession, peer: Peer, code: int, meanings: dict[str, str], expected: ErrorClass | None
) -> None:
    outcome = call(
        session,
        peer.url,
        {"path": "/close", "query": {"code": str(code)}},
        {"messages": ["go"]},
        close_codes=meanings,
    )
    assert outcome.error_class is expected
    assert json.loads(outcome.body)["close_code"] == code


def test_what_is_no_json_comes_back_as_text(session: GuardedSession, peer: Peer) -> None:
    outcome = call(session, peer.url, {"path": "/binary", "collect": {"count": 4}})
    assert json.loads(outcome.body)["messages"] == [
        {"base64": "AP8="},
        "not json {",
        '{"n": 1e999}',
        "[" * 100_000,
    ]


def test_pings_of_the_service_are_answered(session: GuardedSession, peer: Peer) -> None:
    outcome = call(session, peer.url, {"path": "/pinged"})
    assert json.loads(outcome.body)["messages"] == [{"answered": True}]


def test_a_service_that_answers_before_it_has_read_everything_causes_no_deadlock(
    session: GuardedSession, peer: Peer
) -> None:
    texts = [f"{number}" + "z" * 400_000 for number in range(30)]
    outcome = call(
        session,
        peer.url,
        {"path": "/echo", "collect": {"count": 30}},
        {"messages": texts},
        caps=Caps(timeout=30, max_bytes=20_000_000),
    )
    assert outcome.ok, outcome.message
    assert json.loads(outcome.body)["messages"] == texts


def test_credentials_go_into_the_handshake(session: GuardedSession, peer: Peer) -> None:
    outcome = call(session, peer.url, {"path": "/bearer"}, {"messages": ["hi"]}, credentials=BEARER)
    assert outcome.ok, outcome.message
    _, headers = next(pair for pair in reversed(peer.requests) if pair[0] == "/bearer")
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["x-ours"] == "yes"
    assert headers["user-agent"] == "Integration-Hub/1"


def test_a_handshake_without_the_right_credentials_is_unauthorized(
    session: GuardedSession, peer: Peer
) -> None:
    secret = {"password": Secret("wrong-canary-pw")}
    wrong = Credentials("basic", {"username": "u"}, secret, Basic({"username": "u"}, secret))
    outcome = call(session, peer.url, {"path": "/bearer"}, {"messages": ["hi"]}, credentials=wrong)
    assert outcome.error_class is ErrorClass.UNAUTHORIZED
    assert outcome.status == 401
    assert outcome.body == b"no such token: /bearer"
    assert "canary" not in outcome.message


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, ErrorClass.REDIRECT),
        (403, ErrorClass.HTTP_4XX),
        (404, ErrorClass.HTTP_4XX),
        (429, ErrorClass.RATE_LIMITED),
        (503, ErrorClass.HTTP_5XX),
        (200, ErrorClass.PROTOCOL),
    ],
)
def test_a_refused_handshake_keeps_status_headers_and_body(
    session: GuardedSession, peer: Peer, status: int, expected: ErrorClass
) -> None:
    before = len(peer.requests)
    outcome = call(session, peer.url, {"path": "/status", "query": {str(status): ""}})
    # The query is "302=": the service reads the number.
    assert outcome.error_class is expected
    assert outcome.status == status
    assert outcome.headers["retry-after"] == "7"
    assert outcome.body == b"body"
    assert len(peer.requests) == before + 1


LOGIN = {
    "message": {"op": "auth", "args": ["{{ token }}"]},
    "accepted": {"event": "auth", "ok": True},
    "refused": {"event": "auth", "ok": False},
}


def test_a_login_message_carries_the_secret_in_band(session: GuardedSession, peer: Peer) -> None:
    outcome = call(
        session, peer.url, {"path": "/login"}, {"messages": [{"q": 1}]}, credentials=BEARER, login=LOGIN
    )
    assert outcome.ok, outcome.message
    assert json.loads(outcome.body)["messages"] == [{"reply": {"q": 1}}]
    _, headers = next(pair for pair in reversed(peer.requests) if pair[0] == "/login")
    assert "authorization" not in headers


@pytest.mark.parametrize("login", [LOGIN, {**LOGIN, "also_in_handshake": True}], ids=["login", "both"])
def test_the_trace_is_sent_on_wherever_the_credentials_travel(
    session: GuardedSession, peer: Peer, login: dict[str, Any]
) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    traced = replace(BEARER, http=Traced(trace, BEARER.http))
    outcome = call(
        session, peer.url, {"path": "/login"}, {"messages": [{"q": 1}]}, credentials=traced, login=login
    )
    assert outcome.ok, outcome.message
    _, headers = next(pair for pair in reversed(peer.requests) if pair[0] == "/login")
    assert headers["traceparent"] == trace
    assert ("authorization" in headers) == ("also_in_handshake" in login)


def test_credentials_can_go_into_login_and_handshake(session: GuardedSession, peer: Peer) -> None:
    login = {**LOGIN, "also_in_handshake": True}
    outcome = call(
        session, peer.url, {"path": "/login"}, {"messages": [{"q": 1}]}, credentials=BEARER, login=login
    )
    assert outcome.ok
    _, headers = next(pair for pair in reversed(peer.requests) if pair[0] == "/login")
    assert headers["authorization"] == f"Bearer {TOKEN}"


def test_a_refused_login_is_unauthorized_and_no_secret_is_told(session: GuardedSession, peer: Peer) -> None:
    wrong = Credentials("bearer", {}, {"token": Secret("wrong-canary-token")}, None)
    outcome = call(session, peer.url, {"path": "/login"}, {"messages": ["x"]}, credentials=wrong, login=LOGIN)
    assert outcome.error_class is ErrorClass.UNAUTHORIZED
    assert "canary" not in outcome.message
    assert b"canary" not in outcome.body


def test_a_login_that_names_a_field_without_a_value_is_said_without_secrets(
    session: GuardedSession, peer: Peer
) -> None:
    login = {"message": {"op": "auth", "key": "{{ api_key }}"}}
    outcome = call(
        session, peer.url, {"path": "/login"}, {"messages": ["x"]}, credentials=BEARER, login=login
    )
    assert outcome.error_class is ErrorClass.INTERNAL
    assert "token" in outcome.message
    assert TOKEN not in outcome.message


def test_nothing_secret_is_logged(
    session: GuardedSession, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        call(session, peer.url, {"path": "/bearer"}, {"messages": ["hi"]}, credentials=BEARER)
    ours = [record for record in caplog.records if not record.name.startswith("websockets.server")]
    assert not any(TOKEN in record.getMessage() for record in ours)


def test_a_subprotocol_and_an_origin_are_asked_for(session: GuardedSession, peer: Peer) -> None:
    outcome = call(
        session,
        peer.url,
        {"path": "/echo"},
        {"messages": ["x"]},
        subprotocols=["v9.test", "v1.test"],
        origin="https://app.example.com",
    )
    assert outcome.headers["sec-websocket-protocol"] == "v1.test"
    assert peer.requests[-1][1]["origin"] == "https://app.example.com"


def test_compression_is_asked_for_only_when_the_settings_say_so(session: GuardedSession, peer: Peer) -> None:
    assert call(session, peer.url, {"path": "/echo"}, {"messages": ["x" * 9000]}).ok
    assert "sec-websocket-extensions" not in peer.requests[-1][1]
    outcome = call(session, peer.url, {"path": "/echo"}, {"messages": ["x" * 9000]}, compression=True)
    assert json.loads(outcome.body)["messages"] == ["x" * 9000]
    assert "permessage-deflate" in peer.requests[-1][1]["sec-websocket-extensions"]


@pytest.mark.parametrize("compression", [False, True], ids=["plain", "deflated"])
@pytest.mark.parametrize("path", ["/big", "/many"])
def test_what_is_over_the_cap_is_too_large(
    session: GuardedSession, peer: Peer, path: str, compression: bool
) -> None:
    outcome = call(
        session,
        peer.url,
        {"path": path, "collect": {"count": 10_000}},
        caps=Caps(timeout=10, max_bytes=100_000),
        compression=compression,
    )
    assert outcome.error_class is ErrorClass.TOO_LARGE
    assert outcome.truncated
    assert len(outcome.body) <= 100_000
    json.loads(outcome.body)


def _upgrade(connection: socket.socket, extensions: str = "") -> None:
    """The service's side of the handshake, by hand."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(4096)
    key = next(
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n" + extensions.encode() + b"\r\n"
    )


def _frame(first: int, payload: bytes) -> bytes:
    if len(payload) < 126:
        return bytes([first, len(payload)]) + payload
    return bytes([first, 127]) + struct.pack("!Q", len(payload)) + payload


def test_a_bomb_of_compressed_zeros_is_stopped_at_the_cap(session: GuardedSession) -> None:
    maker = zlib.compressobj(9, wbits=-12)
    bomb = maker.compress(bytes(200_000_000)) + maker.flush(zlib.Z_SYNC_FLUSH)

    def behave(connection: socket.socket) -> None:
        _upgrade(connection, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n")
        connection.sendall(_frame(0xC1, bomb[:-4]))
        connection.recv(1)

    with raw(behave) as port:
        outcome = call(
            session,
            f"ws://127.0.0.1:{port}",
            compression=True,
            caps=Caps(timeout=20, max_bytes=1_000_000),
        )
    assert outcome.error_class is ErrorClass.TOO_LARGE


def _linger_reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_reset_before_and_after_the_handshake_is_a_reset(session: GuardedSession) -> None:
    def before(connection: socket.socket) -> None:
        connection.recv(10)
        _linger_reset(connection)

    def after(connection: socket.socket) -> None:
        _upgrade(connection)
        connection.recv(1)
        _linger_reset(connection)

    def no_answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.close()

    for behave in (before, after, no_answer):
        with raw(behave) as port:
            outcome = call(session, f"ws://127.0.0.1:{port}", given={"messages": ["x"]})
        assert outcome.error_class is ErrorClass.RESET, (behave.__name__, outcome.message)


@pytest.mark.parametrize(
    "said",
    [
        b"\xc1\x01x",  # a reserved bit without an extension
        b"\x81\x02\xff\xfe",  # text that is no UTF-8
        b"\x83\x00",  # an opcode that does not exist
        b"\x80\x01x",  # a continuation of nothing
        b"\x89\x7e\x01\x00" + bytes(256),  # a ping that is too long
    ],
    ids=["rsv", "utf8", "opcode", "continuation", "ping"],
)
def test_frames_against_the_protocol_are_a_protocol_error(session: GuardedSession, said: bytes) -> None:
    def behave(connection: socket.socket) -> None:
        _upgrade(connection)
        connection.sendall(said)
        connection.recv(1)

    with raw(behave) as port:
        outcome = call(session, f"ws://127.0.0.1:{port}")
    assert outcome.error_class is ErrorClass.PROTOCOL


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 404 No\r\nContent-Length: 99999999999\r\n\r\n",
    ],
    ids=["ssh", "accept", "h2c", "line", "length"],
)
def test_a_handshake_that_is_none_is_a_protocol_error(session: GuardedSession, said: bytes) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(said)
        connection.recv(1)

    with raw(behave) as port:
        outcome = call(session, f"ws://127.0.0.1:{port}")
    assert outcome.error_class is ErrorClass.PROTOCOL, outcome.message


def test_the_deadline_is_over_everything(session: GuardedSession, peer: Peer) -> None:
    def drip(connection: socket.socket) -> None:
        connection.recv(4096)
        for byte in b"HTTP/1.1 101 Switching Protocols\r\n" * 100:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    with raw(drip) as port:
        outcome = call(session, f"ws://127.0.0.1:{port}", caps=Caps(timeout=0.5))
    assert outcome.error_class is ErrorClass.TIMEOUT
    assert outcome.timings.total_ms < 2000

    outcome = call(session, peer.url, {"path": "/silent"}, caps=Caps(timeout=0.5))
    assert outcome.error_class is ErrorClass.TIMEOUT
    assert outcome.timings.total_ms < 2000


def test_a_feed_without_an_end_is_stopped_by_the_deadline_and_what_came_is_kept(
    session: GuardedSession, peer: Peer
) -> None:
    outcome = call(
        session,
        peer.url,
        {"path": "/ticker", "collect": {"only": {"type": "never"}, "count": 1}},
        caps=Caps(timeout=0.7, max_bytes=50_000_000),
    )
    assert outcome.error_class is ErrorClass.TIMEOUT
    assert json.loads(outcome.body)["messages"] == []


def test_a_service_that_does_not_read_is_stopped_by_the_deadline(session: GuardedSession) -> None:
    def behave(connection: socket.socket) -> None:
        _upgrade(connection)
        threading.Event().wait(5)

    with raw(behave) as port:
        outcome = call(
            session,
            f"ws://127.0.0.1:{port}",
            given={"messages": ["x" * 20_000_000]},
            caps=Caps(timeout=0.7),
        )
    assert outcome.error_class is ErrorClass.TIMEOUT
    assert outcome.timings.total_ms < 3000


def test_a_service_that_answers_no_ping_is_given_up(session: GuardedSession) -> None:
    def behave(connection: socket.socket) -> None:
        _upgrade(connection)
        threading.Event().wait(8)

    with raw(behave) as port:
        outcome = call(session, f"ws://127.0.0.1:{port}", ping_seconds=1, caps=Caps(timeout=7))
    assert outcome.error_class is ErrorClass.RESET
    assert "ping" in outcome.message


def test_cancelling_ends_the_session_at_once(session: GuardedSession) -> None:
    with serving() as own:
        cancellation = Cancellation()
        outcomes: list[Outcome] = []
        thread = threading.Thread(
            target=lambda: outcomes.append(
                call(
                    session,
                    own.url,
                    {"path": "/silent"},
                    caps=Caps(timeout=30, cancellation=cancellation),
                )
            )
        )
        thread.start()
        until(lambda: own.open_sessions == 1)
        cancellation.cancel()
        thread.join(5)
        assert outcomes[0].error_class is ErrorClass.CANCELLED
        until(lambda: own.open_sessions == 0)


def test_an_address_that_is_not_allowed_is_never_dialled() -> None:
    with serving() as own:
        strict = GuardedSession(AddressPolicy(ports=[0]))
        outcome = call(strict, own.url, {"path": "/echo"}, {"messages": ["x"]})
        strict.close()
        assert outcome.error_class is ErrorClass.REFUSED_BY_POLICY
        assert own.requests == []


def test_a_refused_connection_is_one(session: GuardedSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    outcome = call(session, f"ws://127.0.0.1:{port}")
    assert outcome.error_class is ErrorClass.CONNECT_REFUSED


def test_tls_is_checked_against_the_integrations_authorities(session: GuardedSession) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(context=context) as own:
        url = own.url.replace("ws://", "wss://")
        trusting = TlsIdentity(ca=authority.cert_pem.bytes())
        operation = {"path": "/echo", "collect": {"count": 2}}
        given = {"messages": ["x" * 400_000, "y"]}
        good = call(session, url, operation, given, tls=trusting)
        assert good.ok, good.message
        assert good.timings.tls_ms is not None
        bad = call(session, url, operation, given)
        assert bad.error_class is ErrorClass.TLS


def test_the_probe_opens_logs_in_and_closes(session: GuardedSession, peer: Peer) -> None:
    good = connection_to(peer.url + "/login", login=LOGIN)
    assert TRANSPORT.probe(session, good, BEARER, Caps(timeout=5)).ok
    wrong = Credentials("bearer", {}, {"token": Secret("wrong")}, None)
    outcome = TRANSPORT.probe(session, good, wrong, Caps(timeout=5))
    assert outcome.error_class is ErrorClass.UNAUTHORIZED


def test_no_thread_or_connection_is_left_behind(session: GuardedSession) -> None:
    with serving() as own:
        before = threading.active_count()
        for path in ("/echo", "/many", "/silent"):
            call(
                session,
                own.url,
                {"path": path},
                {"messages": ["x"]},
                caps=Caps(timeout=0.5, max_bytes=50_000),
            )
        until(lambda: own.open_sessions == 0)
        until(lambda: threading.active_count() <= before)


class TestConformance(Conformance):
    transport = TRANSPORT
    scheme = "ws"
    operations: ClassVar = {
        "small": TRANSPORT.operation_form.model_validate({"path": "/conform"}),
        "large": TRANSPORT.operation_form.model_validate({"path": "/conform", "messages": ["large"]}),
    }
    settings = TRANSPORT.settings_form()
    small = ("small", {"messages": ["small"]})
    large = ("large", None)
    good = BEARER
    bad = Credentials(
        "bearer",
        {},
        {"token": Secret("wrong-canary-token")},
        Bearer({}, {"token": Secret("wrong-canary-token")}),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def port(cls) -> Iterator[int]:
        with serving() as running:
            yield running.port
