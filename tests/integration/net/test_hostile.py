"""What both senders must survive alike."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.net import AddressPolicy
from hub.net.outcome import ErrorClass as E
from tests.integration.net.conftest import Client, Connect
from tests.integration.net.hostile import (
    OK,
    Server,
    answers,
    certificate,
    drips,
    floods,
    free_port,
    resets,
    silent,
)

HEAD = b"HTTP/1.1 200 OK\r\n"


def test_a_good_answer_is_a_success_with_everything_in_the_outcome(client: Client) -> None:
    reply = b"HTTP/1.1 201 Created\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello"
    with Server(answers(reply)).running() as server:
        outcome = client.post(server.url, body=b'{"a": 1}')
        again = client.post(server.url)
    assert outcome.ok
    assert (outcome.status, outcome.body, outcome.truncated) == (201, b"hello", False)
    assert outcome.headers == {"x-a": "1, 2", "content-length": "5"}
    assert outcome.peer == "127.0.0.1"
    timings = outcome.timings
    assert timings.connect_ms is not None
    assert timings.first_byte_ms is not None
    assert timings.tls_ms is None
    assert timings.total_ms >= timings.first_byte_ms
    assert again.timings.connect_ms is None
    assert server.connections == 1
    assert server.requests[0].startswith(b"POST /hook?token=canary-query HTTP/1.1\r\n")
    assert server.requests[0].endswith(b'\r\n\r\n{"a": 1}')
    assert f"host: 127.0.0.1:{server.port}".encode() in server.requests[0].lower()


@pytest.mark.parametrize(
    ("status", "expected"),
    [(404, E.HTTP_4XX), (410, E.HTTP_4XX), (429, E.HTTP_4XX), (500, E.HTTP_5XX), (503, E.HTTP_5XX)],
)
def test_an_error_status_keeps_its_headers_and_body(client: Client, status: int, expected: E) -> None:
    reply = f"HTTP/1.1 {status} No\r\nRetry-After: 7\r\nContent-Length: 3\r\n\r\nwhy".encode()
    with Server(answers(reply)).running() as server:
        outcome = client.post(server.url)
    assert (outcome.status, outcome.error_class, outcome.body) == (status, expected, b"why")
    assert outcome.headers["retry-after"] == "7"


def test_a_redirect_is_not_followed(client: Client) -> None:
    with Server(answers(OK)).running() as other:
        reply = f"HTTP/1.1 302 Found\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with Server(answers(reply)).running() as server:
            outcome = client.post(server.url)
    assert (outcome.status, outcome.error_class) == (302, E.REDIRECT)
    assert other.connections == 0


@pytest.mark.parametrize(
    ("start", "repeated", "status"),
    [
        (HEAD, b"X-Drip: 1\r\n", None),
        (b"HTTP/1.1 200 ", b"O", None),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b".", 200),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n.\r\n", 200),
        (HEAD + b"\r\n", b".", 200),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", None),
        (b"", b"", None),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n.\r\n0\r\n", b"X-Trailer: 1\r\n", 200),
    ],
    ids=[
        "headers",
        "status line",
        "body",
        "chunks",
        "body to the end",
        "100 Continue",
        "nothing",
        "trailers",
    ],
)
def test_a_drip_ends_at_the_total_deadline(
    client: Client, start: bytes, repeated: bytes, status: int | None
) -> None:
    with Server(drips(start, repeated)).running() as server:
        outcome = client.post(server.url, timeout=0.7)
    assert outcome.error_class is E.TIMEOUT
    assert outcome.timings.total_ms >= 600
    if status is not None:
        assert outcome.status == status


def test_a_receiver_that_never_reads_ends_at_the_deadline(client: Client) -> None:
    with Server(silent).running() as server:
        outcome = client.post(server.url, timeout=0.7, body=bytes(20_000_000))
    assert outcome.error_class is E.TIMEOUT


def test_a_handshake_that_never_comes_is_a_connect_timeout(client: Client) -> None:
    with Server(silent).running() as server:
        outcome = client.post(server.url.replace("http:", "https:"), timeout=0.7)
    assert outcome.error_class is E.CONNECT_TIMEOUT


def test_a_connection_that_never_stands_is_a_connect_timeout(client: Client) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(5):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        outcome = client.post(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=0.7)
    assert outcome.error_class is E.CONNECT_TIMEOUT
    assert outcome.status is None


def test_a_silent_answer_on_a_reused_connection_is_a_timeout(client: Client) -> None:
    def behave(server: Server, sock: socket.socket) -> None:
        server.read_request(sock)
        sock.sendall(OK)
        server.read_request(sock)
        server.stopping.wait()

    with Server(behave).running() as server:
        assert client.post(server.url).ok
        assert client.post(server.url, timeout=0.5).error_class is E.TIMEOUT
    assert server.connections == 1


def test_endless_headers_are_a_protocol_error(client: Client) -> None:
    with Server(floods(HEAD, b"X-Flood: " + b"x" * 1000 + b"\r\n")).running() as server:
        outcome = client.post(server.url)
    assert outcome.error_class is E.PROTOCOL


def test_an_endless_header_line_is_a_protocol_error(client: Client) -> None:
    with Server(floods(HEAD + b"X-Flood: ", b"x" * 1000)).running() as server:
        outcome = client.post(server.url)
    assert outcome.error_class is E.PROTOCOL


def _longer(client: Client) -> E | None:
    """What an answer over the cap is: an integration needs its answer, a webhook only its status."""
    return E.TOO_LARGE if client.kind == "session" else None


@pytest.mark.parametrize(
    "head", [b"Content-Length: 99999999999\r\n\r\n", b"\r\n"], ids=["with a length", "without a length"]
)
def test_an_endless_body_is_cut_at_the_cap(client: Client, head: bytes) -> None:
    with Server(floods(HEAD + head, b"x" * 1000)).running() as server:
        outcome = client.post(server.url)
    assert (outcome.status, outcome.error_class) == (200, _longer(client))
    assert (outcome.body, outcome.truncated) == (b"x" * 16_384, True)


def test_a_body_of_exactly_the_cap_is_whole(client: Client) -> None:
    body = b"y" * 16_384
    with Server(answers(HEAD + b"Content-Length: 16384\r\n\r\n" + body)).running() as server:
        outcome = client.post(server.url)
    assert outcome.ok
    assert (outcome.body, outcome.truncated) == (body, False)


def test_a_cut_failure_stays_a_failure(client: Client) -> None:
    with Server(floods(b"HTTP/1.1 500 No\r\n\r\n", b"x" * 1000)).running() as server:
        outcome = client.post(server.url)
    assert (outcome.status, outcome.error_class) == (500, E.HTTP_5XX)
    assert outcome.truncated


def _gzip_reply(body: bytes, encoding: bytes = b"gzip") -> bytes:
    return HEAD + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body)) + body


def test_gzip_is_asked_for_and_decoded(client: Client) -> None:
    with Server(answers(_gzip_reply(gzip.compress(b"packed")))).running() as server:
        outcome = client.post(server.url)
    assert outcome.ok
    assert outcome.body == b"packed"
    assert b"\r\naccept-encoding: gzip\r\n" in server.requests[0].lower()


def test_a_gzip_bomb_is_cut_at_the_cap(client: Client) -> None:
    bomb = gzip.compress(bytes(100_000_000), 9)
    with Server(answers(_gzip_reply(bomb))).running() as server:
        outcome = client.post(server.url, timeout=3)
    assert (outcome.status, outcome.error_class) == (200, _longer(client))
    assert (len(outcome.body), outcome.truncated) == (16_384, True)


def test_what_is_not_gzip_is_a_protocol_error(client: Client) -> None:
    with Server(answers(_gzip_reply(b"this is no gzip at all"))).running() as server:
        assert client.post(server.url).error_class is E.PROTOCOL


def test_a_cut_off_gzip_body_is_a_fault_where_the_body_matters(client: Client) -> None:
    with Server(answers(_gzip_reply(gzip.compress(b"x" * 5000)[:-20]))).running() as server:
        outcome = client.post(server.url)
    assert outcome.error_class is (E.PROTOCOL if client.kind == "session" else None)


@pytest.mark.parametrize(
    "reply",
    [
        b"garbage without any sense\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        HEAD + b"Content-Length: 10\r\n\r\nshort",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
    ids=["garbage", "letters", "99", "1000", "ssh", "short body", "bad chunk", "cut chunk"],
)
def test_an_answer_that_is_not_valid_http_is_a_protocol_error(client: Client, reply: bytes) -> None:
    with Server(answers(reply, close=True)).running() as server:
        assert client.post(server.url, timeout=2).error_class is E.PROTOCOL


def test_bytes_after_the_answer_never_become_the_next_answer(client: Client) -> None:
    reply = OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    with Server(answers(reply)).running() as server:
        bodies = [client.post(server.url).body for _ in range(3)]
    assert bodies == [b"ok", b"ok", b"ok"]


@pytest.mark.parametrize(
    "start", [b"", HEAD, HEAD + b"Content-Length: 100\r\n\r\npart"], ids=["none", "head", "body"]
)
def test_a_reset_is_a_reset(client: Client, start: bytes) -> None:
    with Server(resets(start)).running() as server:
        assert client.post(server.url).error_class is E.RESET


def test_a_connection_closed_without_an_answer_is_a_reset(client: Client) -> None:
    def behave(server: Server, sock: socket.socket) -> None:
        server.read_request(sock)

    with Server(behave).running() as server:
        assert client.post(server.url).error_class is E.RESET


def test_interim_answers_are_skipped(client: Client) -> None:
    reply = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK
    with Server(answers(reply)).running() as server:
        outcome = client.post(server.url)
    assert (outcome.status, outcome.body) == (200, b"ok")
    assert "link" not in outcome.headers


def test_a_connection_that_the_server_closed_while_idle_is_not_used_again(client: Client) -> None:
    closed = threading.Semaphore(0)

    def behave(server: Server, sock: socket.socket) -> None:
        server.read_request(sock)
        sock.sendall(OK)
        sock.shutdown(socket.SHUT_RDWR)
        closed.release()

    with Server(behave).running() as server:
        for _ in range(3):
            assert client.post(server.url).ok
            assert closed.acquire(timeout=5)
    assert server.connections == 3


def test_a_closed_port_is_a_refused_connection(client: Client) -> None:
    outcome = client.post(f"http://127.0.0.1:{free_port()}/")
    assert outcome.error_class is E.CONNECT_REFUSED
    assert outcome.status is None


def _names(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], list[str]]) -> None:
    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in answer()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_name_without_an_answer_is_a_dns_error(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer() -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    _names(monkeypatch, answer)
    outcome = client.post("http://nowhere.example/")
    assert outcome.error_class is E.DNS
    assert "Name or service not known" in outcome.message


def test_a_name_server_that_never_answers_ends_at_the_deadline(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def answer() -> list[str]:
        release.wait(20)
        return []

    _names(monkeypatch, answer)
    outcome = client.post("http://slow.example/", timeout=0.5)
    release.set()
    assert outcome.error_class is E.DNS
    assert outcome.timings.total_ms >= 400


def test_a_name_with_one_refused_answer_is_refused_before_any_connection(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(answers(OK)).running() as server, monkeypatch.context() as patched:
        _names(patched, lambda: ["127.0.0.1", "10.0.0.1"])
        outcome = client.post(f"http://mixed.example:{server.port}/")
    assert outcome.error_class is E.REFUSED_BY_POLICY
    assert server.connections == 0


def test_a_dead_first_address_leaves_time_for_the_second(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(answers(OK)).running() as server, monkeypatch.context() as patched:
        _names(patched, lambda: ["127.0.0.9", "127.0.0.1"])
        outcome = client.post(f"http://two.example:{server.port}/", timeout=2)
    assert outcome.ok
    assert outcome.peer == "127.0.0.1"
    assert outcome.timings.dns_ms is not None
    assert f"host: two.example:{server.port}".encode() in server.requests[0].lower()


def test_a_name_that_leads_inside_is_refused_before_any_connection(connect: Connect) -> None:
    with Server(answers(OK)).running() as server:
        outcome = connect(AddressPolicy(ports=[0])).post(f"http://localhost:{server.port}/")
    assert outcome.error_class is E.REFUSED_BY_POLICY
    assert server.connections == 0


def test_an_address_that_is_refused_is_never_connected(connect: Connect) -> None:
    with Server(answers(OK)).running() as server:
        outcome = connect(AddressPolicy(ports=[0])).post(server.url)
    assert outcome.error_class is E.REFUSED_BY_POLICY
    assert server.connections == 0


@pytest.mark.parametrize(
    "path",
    ["http://user:pw@127.0.0.1/", "ftp://127.0.0.1/", "http://127.0.0.1\\@x/", "", "file:///etc/passwd"],
)
def test_a_url_that_the_policy_does_not_take_is_refused(client: Client, path: str) -> None:
    assert client.post(path).error_class is E.REFUSED_BY_POLICY


def test_a_denied_port_of_an_allowed_address_is_refused(connect: Connect) -> None:
    with Server(answers(OK)).running() as server:
        policy = AddressPolicy(allow=["127.0.0.0/8"], deny=[("127.0.0.1", server.port)], ports=[0])
        outcome = connect(policy).post(f"http://localhost:{server.port}/")
    assert outcome.error_class is E.REFUSED_BY_POLICY
    assert server.connections == 0


def test_a_self_made_certificate_is_a_tls_error(client: Client, tmp_path: Path) -> None:
    context, _ = certificate(tmp_path)
    with Server(answers(OK), tls=context).running() as server:
        outcome = client.post(server.url)
    assert outcome.error_class is E.TLS
    assert "certificate" in outcome.message
    assert server.requests == []


def test_a_trusted_certificate_for_another_host_is_a_tls_error(connect: Connect, tmp_path: Path) -> None:
    context, ca_file = certificate(tmp_path, name="other.example")
    with Server(answers(OK), tls=context).running() as server:
        assert connect(ca_file=ca_file).post(server.url).error_class is E.TLS
    assert server.requests == []


def test_a_trusted_certificate_for_the_host_is_a_success(connect: Connect, tmp_path: Path) -> None:
    context, ca_file = certificate(tmp_path)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with Server(answers(OK), tls=context).running() as server:
        client = connect(ca_file=ca_file)
        first, second = client.post(server.url), client.post(server.url)
    assert first.ok
    assert second.ok
    assert first.timings.tls_ms is not None
    assert server.connections == 1


def test_a_drip_inside_tls_ends_at_the_deadline(connect: Connect, tmp_path: Path) -> None:
    context, ca_file = certificate(tmp_path)
    with Server(drips(HEAD, b"X-Drip: 1\r\n"), tls=context).running() as server:
        outcome = connect(ca_file=ca_file).post(server.url, timeout=0.7)
    assert outcome.error_class is E.TIMEOUT


def test_a_plain_answer_to_a_tls_handshake_is_a_tls_error(client: Client) -> None:
    def behave(server: Server, sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Server(behave).running() as server:
        assert client.post(server.url.replace("http:", "https:")).error_class is E.TLS


def test_proxies_and_netrc_of_the_environment_are_ignored(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    with Server(answers(OK)).running() as server:
        assert connect().post(server.url).ok
    assert b"authorization" not in server.requests[0].lower()


def test_cookies_are_not_kept(client: Client) -> None:
    reply = HEAD + b"Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    with Server(answers(reply)).running() as server:
        client.post(server.url)
        client.post(server.url)
    assert b"cookie" not in server.requests[1].lower()
