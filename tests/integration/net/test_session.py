"""What only the session for integration calls does."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from requests import PreparedRequest
from requests.auth import HTTPBasicAuth, HTTPDigestAuth

from hub.db.states import State
from hub.integrations.pipeline.retry import RetryPolicy, next_attempt
from hub.net import AddressPolicy, GuardedSession, Outcome
from hub.net.outcome import ErrorClass as E
from hub.net.outcome import classify_status
from tests.integration.net.conftest import LOOPBACK
from tests.integration.net.hostile import OK, Server, answers, drips

REDIRECT = "HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def session() -> Iterator[GuardedSession]:
    made = GuardedSession(LOOPBACK)
    yield made
    made.close()


def _moved(to: str, status: int = 302) -> bytes:
    return REDIRECT.format(status=status, to=to).encode()


def test_a_request_carries_method_params_headers_json_and_authentication(session: GuardedSession) -> None:
    with Server(answers(OK)).running() as server:
        outcome = session.call(
            "patch",
            f"http://127.0.0.1:{server.port}/a?x=1",
            params={"y": "ü &"},
            headers={"X-Key": "k"},
            json={"a": [1]},
            auth=HTTPBasicAuth("me", "pw"),
        )
    assert outcome.ok
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PATCH /a?x=1&y=%C3%BC+%26 HTTP/1.1\r\n")
    assert b"X-Key: k" in head
    assert b"Authorization: Basic bWU6cHc=" in head
    assert b"Content-Type: application/json" in head
    assert body == b'{"a": [1]}'


def test_a_head_request_has_no_body_and_keeps_the_connection(session: GuardedSession) -> None:
    with Server(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")).running() as server:
        assert session.call("HEAD", server.url).ok
        assert session.call("HEAD", server.url).ok
    assert server.connections == 1


@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", b"200 OK"), ("HEAD", b"404 No"), ("DELETE", b"204 No"), ("GET", b"304 No")],
)
@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Encoding: br\r\n",
        b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
    ],
    ids=["encoding", "chunked", "codings", "lengths"],
)
def test_an_answer_that_may_have_no_body_has_none_whatever_its_headers_say(
    session: GuardedSession, method: str, status: bytes, headers: bytes
) -> None:
    with Server(answers(b"HTTP/1.1 %b\r\n%b\r\n" % (status, headers))).running() as server:
        outcomes = [session.call(method, server.url, timeout=2) for _ in range(2)]
    number = int(status[:3])
    assert [(one.status, one.error_class, one.body) for one in outcomes] == [
        (number, classify_status(number), b"")
    ] * 2


def test_a_connection_whose_answer_may_be_followed_by_a_last_chunk_is_not_kept(
    session: GuardedSession,
) -> None:
    reply = b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Server(answers(reply, OK)).running() as server:
        assert session.call("DELETE", server.url, timeout=2).ok
        assert session.call("GET", server.url, timeout=2).body == b"ok"
    assert server.connections == 2


def test_an_answer_without_a_body_may_have_any_content_encoding_but_a_body_may_not(
    session: GuardedSession,
) -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: %d\r\n\r\n%b"
    with Server(answers(reply % (0, b""), reply % (2, b"ok"))).running() as server:
        assert session.call("GET", server.url).ok
        assert session.call("GET", server.url).error_class is E.PROTOCOL


@pytest.mark.parametrize("coding", [b"br", b"gzip", b"aws-chunked"])
def test_a_body_that_is_not_to_be_decoded_is_taken_as_it_comes(
    session: GuardedSession, coding: bytes
) -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: 2\r\n\r\nok" % coding
    with Server(answers(reply)).running() as server:
        outcome = session.call("GET", server.url, decode=False)
    assert (outcome.error_class, outcome.body) == (None, b"ok")
    assert b"\r\naccept-encoding: identity\r\n" in server.requests[0].lower()


@pytest.mark.parametrize(
    ("status", "error_class"),
    [(200, E.TOO_LARGE), (302, E.REDIRECT), (401, E.HTTP_4XX), (429, E.HTTP_4XX), (503, E.HTTP_5XX)],
)
def test_a_failure_over_the_cap_is_what_its_status_says(
    session: GuardedSession, status: int, error_class: E
) -> None:
    reply = b"HTTP/1.1 %d X\r\nRetry-After: 7\r\nContent-Length: 500\r\n\r\n%b" % (status, b"x" * 500)
    with Server(answers(reply)).running() as server:
        outcome = session.call("GET", server.url, max_body=100)
    assert (outcome.status, outcome.error_class) == (status, error_class)
    assert (outcome.body, outcome.truncated) == (b"x" * 100, True)
    assert outcome.headers["retry-after"] == "7"


def test_a_digest_challenge_is_answered_within_the_same_call(session: GuardedSession) -> None:
    challenge = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\nContent-Length: 0\r\n\r\n'
    with Server(answers(challenge, OK)).running() as server:
        outcome = session.call("GET", server.url, auth=HTTPDigestAuth("me", "pw"))
    assert (outcome.status, outcome.body) == (200, b"ok")
    assert b'Authorization: Digest username="me"' in server.requests[1]


def test_a_challenge_with_an_endless_body_stays_inside_the_cap(session: GuardedSession) -> None:
    reply = (
        b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\nContent-Length: 5000\r\n\r\n'
        + b"x" * 5000
    )
    with Server(answers(reply, OK)).running() as server:
        outcome = session.call("GET", server.url, auth=HTTPDigestAuth("me", "pw"), max_body=100)
    assert outcome.ok


def test_the_deadline_covers_the_second_round_of_an_authentication(session: GuardedSession) -> None:
    challenge = (
        b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\nContent-Length: 0\r\n\r\n'
    )

    def behave(server: Server, sock: socket.socket) -> None:
        server.read_request(sock)
        server.stopping.wait(2)
        sock.sendall(challenge)
        server.read_request(sock)
        server.stopping.wait()

    begun = time.monotonic()
    with Server(behave).running() as server:
        outcome = session.call("GET", server.url, auth=HTTPDigestAuth("me", "pw"), timeout=3)
    assert outcome.error_class is E.TIMEOUT
    # With a deadline of its own it would be five seconds.
    assert time.monotonic() - begun < 4.8


def test_a_fault_of_an_authentication_object_is_internal_and_its_text_is_not_shown(
    session: GuardedSession,
) -> None:
    def auth(request: PreparedRequest) -> PreparedRequest:
        raise KeyError("canary-secret")

    outcome = session.call("GET", "http://127.0.0.1:1/", auth=auth)
    assert outcome.error_class is E.INTERNAL
    assert "canary-secret" not in outcome.message


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "x"},
        {"Transfer-Encoding": "chunked"},
        {"X": "a\r\nY: canary"},
        {"X": "canary\nb"},
        {"X y": "1"},
        {"X": "ü\u2028"},
    ],
)
def test_a_header_that_would_change_the_request_is_never_sent(
    session: GuardedSession, headers: dict[str, str]
) -> None:
    with Server(answers(OK)).running() as server:
        outcome = session.call("GET", server.url, headers=headers)
    assert outcome.error_class is E.INTERNAL
    assert "canary" not in outcome.message
    assert server.requests == []


@pytest.mark.parametrize("method", ["CONNECT", "GET / HTTP/1.1\r\nX: y", "A B", ""])
def test_a_method_that_is_none_is_never_sent(session: GuardedSession, method: str) -> None:
    with Server(answers(OK)).running() as server:
        assert session.call(method, server.url).error_class is E.INTERNAL
    assert server.requests == []


def test_a_redirect_is_followed_when_asked_for_and_credentials_stay_at_their_origin(
    session: GuardedSession,
) -> None:
    with Server(answers(OK)).running() as other, Server(answers(_moved(other.url), OK)).running() as server:
        outcome = session.call(
            "GET",
            server.url,
            headers={"X-Api-Key": "k", "Cookie": "c", "Accept": "a/b"},
            auth=HTTPBasicAuth("me", "pw"),
            follow_redirects=1,
        )
    assert outcome.ok
    assert b"X-Api-Key: k" in server.requests[0]
    assert b"Authorization" in server.requests[0]
    lower = other.requests[0].lower()
    assert b"accept: a/b" in lower
    for gone in (b"x-api-key", b"authorization", b"cookie", b"referer"):
        assert gone not in lower


def test_a_redirect_within_the_origin_keeps_credentials_and_turns_a_post_into_a_get(
    session: GuardedSession,
) -> None:
    with Server(answers(_moved("/next"), OK)).running() as server:
        outcome = session.call(
            "POST", server.url, json={"a": 1}, auth=HTTPBasicAuth("me", "pw"), follow_redirects=3
        )
    assert outcome.ok
    assert server.requests[1].startswith(b"GET /next HTTP/1.1\r\n")
    assert b"Authorization" in server.requests[1]
    assert server.requests[1].endswith(b"\r\n\r\n")
    assert server.connections == 1


def _refuses(status: int) -> bytes:
    return b"HTTP/1.1 %d No\r\nRetry-After: 3\r\nContent-Length: 3\r\n\r\nwhy" % status


def _decided(outcome: Outcome, *, idempotent: bool) -> State:
    """What follows a call."""
    now = datetime.now(UTC)
    return next_attempt(RetryPolicy(), outcome, 0, now, Random(1), idempotent=idempotent).state


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize(
    "to",
    ["http://127.0.0.1:{dead}/", "http://nowhere.invalid/", "https://127.0.0.1:{port}/", "http://10.0.0.1/"],
    ids=["refused", "no name", "no TLS", "not allowed"],
)
def test_a_post_that_a_redirect_answered_is_never_told_as_one_that_did_not_arrive(
    session: GuardedSession, status: int, to: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        dead = unused.getsockname()[1]

    def behave(server: Server, sock: socket.socket) -> None:
        if server.read_request(sock):
            sock.sendall(_moved(to.format(dead=dead, port=server.port), status))

    with Server(behave).running() as server:
        outcome = session.call("POST", server.url, json={"order": 1}, follow_redirects=1, timeout=5)
    assert (outcome.status, outcome.error_class) == (None, E.PROTOCOL)
    assert outcome.message.startswith("The request was answered by a redirect, which led to a failure: ")
    assert _decided(outcome, idempotent=False) is State.FAILED
    assert _decided(outcome, idempotent=True) is State.DUE


@pytest.mark.parametrize("refusal", [401, 407, 429, 503])
def test_a_refusal_after_a_redirect_is_none_of_the_post_that_the_redirect_answered(
    session: GuardedSession, refusal: int
) -> None:
    with Server(answers(_moved("/busy", 303), _refuses(refusal))).running() as server:
        outcome = session.call("POST", server.url, json={"order": 1}, follow_redirects=1)
    assert (outcome.status, outcome.error_class) == (None, E.PROTOCOL)
    assert (outcome.body, outcome.headers["retry-after"]) == (b"why", "3")
    assert str(refusal) in outcome.message
    assert _decided(outcome, idempotent=False) is State.FAILED
    assert _decided(outcome, idempotent=True) is State.DUE


def test_a_fault_of_ours_after_a_redirect_does_not_repeat_the_post_that_the_redirect_answered(
    session: GuardedSession,
) -> None:
    def auth(request: PreparedRequest) -> PreparedRequest:
        if request.method == "GET":
            raise KeyError
        return request

    with Server(answers(_moved("/next"), OK)).running() as server:
        outcome = session.call("POST", server.url, auth=auth, follow_redirects=1)
    assert (outcome.status, outcome.error_class) == (None, E.PROTOCOL)
    assert _decided(outcome, idempotent=False) is State.FAILED


@pytest.mark.parametrize(("answer", "error_class"), [(404, E.HTTP_4XX), (500, E.HTTP_5XX)])
def test_another_failure_after_a_redirect_is_what_its_status_says(
    session: GuardedSession, answer: int, error_class: E
) -> None:
    with Server(answers(_moved("/gone"), _refuses(answer))).running() as server:
        outcome = session.call("POST", server.url, follow_redirects=1)
    assert (outcome.status, outcome.error_class) == (answer, error_class)
    assert outcome.message == (
        f"The request was answered by a redirect, which led to a failure: The answer was status {answer}."
    )


@pytest.mark.parametrize(("method", "status"), [("POST", 307), ("POST", 308), ("GET", 303), ("PUT", 302)])
def test_a_redirect_that_keeps_the_method_has_taken_nothing(
    session: GuardedSession, method: str, status: int
) -> None:
    with Server(answers(_moved("/busy", status), _refuses(429))).running() as server:
        outcome = session.call(method, server.url, follow_redirects=1)
    assert (outcome.status, outcome.error_class) == (429, E.HTTP_4XX)
    assert outcome.message == "The answer was status 429."


@pytest.mark.parametrize(
    "to",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest",
        "http://[::ffff:10.0.0.1]/",
        "file:///etc/passwd",
        "http://u:p@127.0.0.1/",
    ],
)
def test_a_redirect_to_a_refused_place_is_refused(session: GuardedSession, to: str) -> None:
    with Server(answers(_moved(to))).running() as server:
        outcome = session.call("GET", server.url, follow_redirects=3)
    assert outcome.error_class is E.REFUSED_BY_POLICY


def test_an_endless_chain_of_redirects_ends_after_three(session: GuardedSession) -> None:
    with Server(answers(_moved("/again"))).running() as server:
        outcome = session.call("GET", server.url, follow_redirects=99)
    assert outcome.error_class is E.REDIRECT
    assert len(server.requests) == 4


def test_the_deadline_covers_all_hops(session: GuardedSession) -> None:
    def behave(server: Server, sock: socket.socket) -> None:
        while server.read_request(sock):
            server.stopping.wait(0.3)
            sock.sendall(_moved("/again"))

    with Server(behave).running() as server:
        outcome = session.call("GET", server.url, follow_redirects=3, timeout=0.7)
    assert outcome.error_class is E.TIMEOUT
    assert 600 <= outcome.timings.total_ms < 1700


def test_connections_are_not_shared_across_pool_keys(session: GuardedSession) -> None:
    with Server(answers(OK)).running() as server:
        for key in ("tenant-a", "tenant-b", "tenant-a", "tenant-b"):
            assert session.call("GET", server.url, pool_key=key).ok
    assert server.connections == 2


def test_an_idle_connection_is_closed_without_another_call() -> None:
    session = GuardedSession(LOOPBACK, idle_seconds=0.3)
    with Server(answers(OK)).running() as server:
        assert session.call("GET", server.url).ok
        assert server.peer_closed.wait(10)
        assert session.call("GET", server.url).ok
        assert server.connections == 2
        session.close()


def test_closing_the_session_closes_its_idle_connections() -> None:
    session = GuardedSession(LOOPBACK)
    with Server(answers(OK)).running() as server:
        assert session.call("GET", server.url).ok
        session.close()
        assert server.peer_closed.wait(10)


def test_many_threads_share_one_session_and_each_gets_its_own_answer(session: GuardedSession) -> None:
    def behave(server: Server, sock: socket.socket) -> None:
        while request := server.read_request(sock):
            body = request.split(b" ", 2)[1]
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with Server(behave).running() as server:

        def one(number: int) -> bool:
            outcome = session.call("GET", f"http://127.0.0.1:{server.port}/{number}", timeout=10)
            return outcome.body == f"/{number}".encode()

        with ThreadPoolExecutor(40) as threads:
            assert all(threads.map(one, range(800)))
    assert server.connections <= 40


def test_a_name_that_changes_to_a_private_address_is_refused_at_the_next_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It says so: the client need not have heard of the end to know that the next call has a connection of its own.
    ended = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with Server(answers(ended, close=True)).running() as server:
        answer = ["127.0.0.1"]

        def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer[0], port))]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        session = GuardedSession(AddressPolicy(allow=["127.0.0.1/32"], ports=[0]))
        url = f"http://rebind.example:{server.port}/"
        assert session.call("GET", url).ok
        answer[0] = "127.0.0.2"
        assert session.call("GET", url).error_class is E.REFUSED_BY_POLICY
        monkeypatch.undo()
        session.close()


def test_what_came_before_the_fault_is_kept(session: GuardedSession) -> None:
    start = b"HTTP/1.1 200 OK\r\nX-Request-Id: r1\r\n\r\n"
    with Server(drips(start, b"")).running() as server:
        outcome = session.call("GET", server.url, timeout=0.4)
    assert (outcome.status, outcome.error_class) == (200, E.TIMEOUT)
    assert outcome.headers["x-request-id"] == "r1"
    assert outcome.peer == "127.0.0.1"
