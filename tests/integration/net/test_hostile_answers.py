"""Answers that are wrong, overlong or out of turn, one fault each; both senders must name it alike."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.net.outcome import ErrorClass as E
from tests.integration.net.conftest import Client, Connect
from tests.integration.net.hostile import OK, RESET_ON_CLOSE, Behaviour, Server, answers, certificate, floods

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def _coded(body: bytes, coding: bytes) -> bytes:
    return HEAD + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding, len(body)) + body


def _lengths(*values: bytes) -> bytes:
    return HEAD + b"".join(b"Content-Length: %b\r\n" % value for value in values) + b"\r\nokok"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(_lengths(b"-1"), id="negative length"),
        pytest.param(_lengths(b"abc"), id="length of letters"),
        pytest.param(_lengths(b"2x"), id="length with a letter"),
        pytest.param(_lengths(b"2", b"4"), id="two lengths"),
        pytest.param(_lengths(b"4", b"2"), id="two lengths, the longer first"),
        pytest.param(_lengths(b"2, 4"), id="two lengths in one line"),
        pytest.param(_lengths(b"5"), id="length too long"),
        pytest.param(CHUNKED + b"FFFFFFFFFFFFFFFFFF\r\nhello", id="huge chunk"),
        pytest.param(CHUNKED + b"7FFFFFFFFFFFFFFF\r\nhello", id="big chunk"),
        pytest.param(CHUNKED + b"-1\r\n" + b"x" * 100, id="chunk of minus one"),
        pytest.param(CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", id="chunk of minus five"),
        pytest.param(CHUNKED + b"\r\nhello", id="chunk without a size"),
        pytest.param(
            HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", id="coded twice"
        ),
        pytest.param(HEAD + b"NoColonHere\r\nContent-Length: 2\r\n\r\nok", id="header without a colon"),
        pytest.param(HEAD + b" folded\r\nContent-Length: 2\r\n\r\nok", id="first header is a continuation"),
        pytest.param(b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n", id="099"),
        pytest.param(b"HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n", id="000"),
        pytest.param(b"HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n", id="600"),
        pytest.param(b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", id="999"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", id="101"
        ),
        pytest.param(b"<html>hello</html>", id="HTTP/0.9"),
        pytest.param(b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n", id="ICY"),
        pytest.param(b"\0\0\x0c\x04\0\0\0\0\0" + bytes(12), id="HTTP/2 frames"),
        pytest.param(
            HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(20_000)) + b"\r\n", id="very many headers"
        ),
        pytest.param(HEAD + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n", id="a very long header"),
        pytest.param(_coded(b"ok", b"rot13"), id="unknown coding"),
        pytest.param(_coded(b"ok", b"gzip, gzip, gzip, gzip, gzip, gzip, gzip"), id="coded seven times"),
    ],
)
def test_a_wrong_answer_is_a_protocol_error(client: Client, reply: bytes) -> None:
    with Server(answers(reply, close=True)).running() as server:
        outcome = client.post(server.url, timeout=2)
    assert outcome.error_class is E.PROTOCOL


@pytest.mark.parametrize(
    "repeated",
    [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["103", "100"],
)
def test_a_flood_of_interim_answers_is_a_protocol_error(client: Client, repeated: bytes) -> None:
    with Server(floods(b"", repeated)).running() as server:
        assert client.post(server.url, timeout=2).error_class is E.PROTOCOL


@pytest.mark.parametrize(
    "start",
    [CHUNKED + b"5;", CHUNKED + b"0\r\nX-Trailer: "],
    ids=["chunk extension", "trailer"],
)
def test_an_endless_line_inside_the_body_ends_in_time(client: Client, start: bytes) -> None:
    with Server(floods(start, b"x" * 1000)).running() as server:
        outcome = client.post(server.url, timeout=0.7)
    assert outcome.error_class in {E.PROTOCOL, E.TIMEOUT}


@pytest.mark.parametrize(
    "value",
    [b"a\x01\x07\x1b[31mb", b"\xff\xfe\xe9", b"a\tb", b"a\r\n folded"],
    ids=["control", "8 bit", "tab", "folded"],
)
def test_odd_header_values_are_kept_as_printable_text(client: Client, value: bytes) -> None:
    reply = HEAD + b"X-A: " + value + b"\r\nContent-Length: 2\r\n\r\nok"
    with Server(answers(reply)).running() as server:
        outcome = client.post(server.url)
    assert (outcome.error_class, outcome.body) == (None, b"ok")
    assert outcome.headers["x-a"].isprintable()


def test_a_nul_in_a_header_never_reaches_the_outcome(client: Client) -> None:
    with Server(answers(HEAD + b"X-A: a\0b\r\nContent-Length: 2\r\n\r\nok")).running() as server:
        outcome = client.post(server.url)
    assert outcome.error_class in {None, E.PROTOCOL}
    assert "\0" not in "".join(outcome.headers.values())


def test_a_body_longer_than_its_length_ends_where_the_length_says(client: Client) -> None:
    with Server(answers(HEAD + b"Content-Length: 2\r\n\r\nokTOO MUCH")).running() as server:
        bodies = [client.post(server.url).body for _ in range(3)]
    assert bodies == [b"ok"] * 3


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(_coded(zlib.compress(bytes(20_000_000), 9), b"deflate"), id="deflate"),
        pytest.param(
            _coded(gzip.compress(gzip.compress(bytes(50_000_000), 9), 9), b"gzip, gzip"), id="twice"
        ),
    ],
)
def test_a_bomb_in_a_coding_that_was_not_offered_stays_inside_the_cap(client: Client, body: bytes) -> None:
    with Server(answers(body)).running() as server:
        outcome = client.post(server.url, timeout=3)
    assert outcome.error_class is (E.PROTOCOL if client.kind == "session" else None)
    assert len(outcome.body) <= 16_384


def _early(reply: bytes) -> Behaviour:
    def behave(server: Server, sock: socket.socket) -> None:
        sock.sendall(reply)
        server.read_request(sock)
        server.stopping.wait(5)

    return behave


def test_an_answer_that_comes_before_the_request_is_taken_or_refused_in_time(client: Client) -> None:
    with Server(_early(OK)).running() as server:
        outcome = client.post(server.url, timeout=1)
    assert outcome.error_class in {None, E.RESET, E.PROTOCOL}


def test_an_early_refusal_of_a_large_body_is_the_answer(client: Client) -> None:
    reply = b"HTTP/1.1 413 Too large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with Server(_early(reply)).running() as server:
        outcome = client.post(server.url, timeout=3, body=bytes(5_000_000))
    assert (outcome.status, outcome.error_class) == (413, E.HTTP_4XX)


def test_a_reset_before_the_request_is_a_reset_or_no_connection(client: Client) -> None:
    def behave(server: Server, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    with Server(behave).running() as server:
        assert client.post(server.url).error_class in {E.RESET, E.CONNECT_REFUSED}


def test_a_chain_of_redirects_is_not_followed(client: Client) -> None:
    def behave(server: Server, sock: socket.socket) -> None:
        while server.read_request(sock):
            reply = f"HTTP/1.1 308 Next\r\nLocation: {server.url}&n\r\nContent-Length: 0\r\n\r\n"
            sock.sendall(reply.encode())

    with Server(behave).running() as server:
        outcome = client.post(server.url)
    assert (outcome.status, outcome.error_class) == (308, E.REDIRECT)
    assert len(server.requests) == 1


def _after_hello(reply: bytes, every: float | None = None) -> Behaviour:
    def behave(server: Server, sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(reply)
        while every is not None and not server.stopping.wait(every):
            sock.sendall(reply)

    return behave


@pytest.mark.parametrize(
    ("behave", "expected"),
    [
        (_after_hello(b"\x16\x03\x03\xff\xff" + b"\xee" * 70_000), {E.TLS}),
        (_after_hello(b""), {E.TLS}),
        (_after_hello(b"\x15\x03\x03\x00\x02\x02\x28"), {E.TLS}),
        (_after_hello(b"\x16", 0.05), {E.TLS, E.CONNECT_TIMEOUT}),
        (_after_hello(b"\x16\x03\x03\x40\x00", 10), {E.CONNECT_TIMEOUT}),
    ],
    ids=["garbage", "closed", "alert", "drip", "stall"],
)
def test_a_broken_handshake_is_named(client: Client, behave: Behaviour, expected: set[E]) -> None:
    with Server(behave).running() as server:
        outcome = client.post(server.url.replace("http:", "https:"), timeout=0.7)
    assert outcome.error_class in expected


def test_an_expired_certificate_is_a_tls_error(connect: Connect, tmp_path: Path) -> None:
    context, ca_file = certificate(tmp_path, expired=True)
    with Server(answers(OK), tls=context).running() as server:
        outcome = connect(ca_file=ca_file).post(server.url)
    assert outcome.error_class is E.TLS
    assert "expired" in outcome.message
    assert server.requests == []


FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"


def test_bytes_that_come_after_the_call_never_become_the_next_answer(client: Client) -> None:
    returned, forged = threading.Semaphore(0), threading.Semaphore(0)

    def behave(server: Server, sock: socket.socket) -> None:
        while server.read_request(sock):
            sock.sendall(OK)
            assert returned.acquire(timeout=5)
            sock.sendall(FORGED)
            forged.release()

    with Server(behave).running() as server:
        bodies = []
        for _ in range(3):
            bodies.append(client.post(server.url).body)
            returned.release()
            assert forged.acquire(timeout=5)
    assert bodies == [b"ok"] * 3
    assert (server.connections, len(server.requests)) == (3, 3)


def _takes_and_closes_the_second(server: Server, sock: socket.socket) -> None:
    if server.read_request(sock):
        sock.sendall(OK)
        server.read_request(sock)


def _takes_and_resets_the_second(server: Server, sock: socket.socket) -> None:
    _takes_and_closes_the_second(server, sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


@pytest.mark.parametrize("body", [b"{}", b"", b"x" * 300_000], ids=["small", "empty", "large"])
@pytest.mark.parametrize(
    "behave", [_takes_and_closes_the_second, _takes_and_resets_the_second], ids=["closed", "reset"]
)
def test_a_request_that_a_kept_connection_swallowed_is_a_reset_and_not_sent_again(
    client: Client, behave: Callable[[Server, socket.socket], None], body: bytes
) -> None:
    """libcurl alone would send it again, and the receiver would have it twice for one attempt."""
    with Server(behave).running() as server:
        verdicts = [client.post(server.url, body=body).error_class for _ in range(4)]
        assert verdicts == [None, E.RESET, None, E.RESET]
        assert len(server.requests) == 4
