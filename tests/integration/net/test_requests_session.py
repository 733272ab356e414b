"""The guarded way out as libraries see it: a `requests.Session`."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests import PreparedRequest
from requests.auth import HTTPDigestAuth

from hub.net import AddressPolicy, GuardedSession
from hub.net.cancellation import Cancellation
from hub.net.outcome import ErrorClass as E
from hub.net.requests_session import ExchangeFault, GuardedRequests, outcome_of
from hub.net.sockets import Deadline
from tests.integration.net.conftest import LOOPBACK
from tests.integration.net.hostile import OK, Server, answers, floods, free_port, resets, silent

Make = Callable[..., GuardedRequests]


@pytest.fixture
def make() -> Iterator[Make]:
    sessions: list[GuardedSession] = []

    def made(
        timeout: float = 5.0, policy: AddressPolicy = LOOPBACK, max_body: int = 10_000, **options: Any
    ) -> GuardedRequests:
        sessions.append(GuardedSession(policy))
        return GuardedRequests(
            sessions[-1], deadline=Deadline(timeout), max_body=max_body, pool_key="k", **options
        )

    yield made
    for session in sessions:
        session.close()


def test_a_library_gets_answers_as_from_any_session_and_the_last_one_is_recorded(make: Make) -> None:
    reply = b"HTTP/1.1 201 Created\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: 4\r\n\r\n<a/>"
    with Server(answers(reply)).running() as server, make() as session:
        session.headers["X-Library"] = "1"
        response = session.post(server.url, data=b"<q/>", headers={"SOAPAction": "s"}, timeout=300)
        assert (response.status_code, response.content, response.encoding) == (201, b"<a/>", "utf-8")
        assert session.get(server.url, params={"wsdl": ""}).text == "<a/>"
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert b"SOAPAction: s" in head
    assert b"X-Library: 1" in head
    assert body == b"<q/>"
    assert session.requests_made == 2
    assert session.last is not None
    assert (session.last.status, session.last.peer, session.last.error_class) == (201, "127.0.0.1", None)
    assert session.last.timings.total_ms > 0
    assert server.connections == 1


def test_neither_cookies_nor_proxies_nor_netrc_nor_redirects_are_used(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login canary password canary")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    moved = b"HTTP/1.1 302 Found\r\nSet-Cookie: a=canary\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
    with Server(answers(moved, OK)).running() as server:
        session = make()
        assert session.get(server.url, proxies={"http": "http://127.0.0.1:1"}).status_code == 302
        assert session.last is not None
        assert session.last.error_class is E.REDIRECT
        assert session.get(server.url).status_code == 200
    assert not any(b"canary-" not in request and b"canary" in request for request in server.requests)
    assert all(b"Cookie" not in request and b"Authorization" not in request for request in server.requests)


def test_an_error_status_is_an_answer_not_a_fault(make: Make) -> None:
    with Server(answers(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno")).running() as server:
        session = make()
        assert session.post(server.url, data=b"x").content == b"no"
    assert session.last is not None
    assert session.last.error_class is E.HTTP_5XX


def _raised(session: GuardedRequests, url: str, **options: Any) -> Exception:
    with pytest.raises(ExchangeFault) as caught:
        session.post(url, data=b"x", **options)
    assert not isinstance(caught.value, (requests.RequestException, OSError))
    assert session.last is caught.value.outcome
    return caught.value


def test_a_refused_address_is_a_fault_without_a_connection(make: Make) -> None:
    with Server(answers(OK)).running() as server:
        error = _raised(make(policy=AddressPolicy(ports=[0])), server.url)
        assert server.connections == 0
    assert outcome_of(error).error_class is E.REFUSED_BY_POLICY


def test_the_deadline_is_one_for_all_requests_whatever_the_library_asks_for(make: Make) -> None:
    def behave(server: Server, sock: socket.socket) -> None:
        server.read_request(sock)
        sock.sendall(OK)
        server.read_request(sock)
        server.stopping.wait()

    with Server(behave).running() as server:
        session = make(timeout=0.6)
        begun = time.monotonic()
        assert session.get(server.url).ok
        error = _raised(session, server.url, timeout=300)
        assert 0.5 < time.monotonic() - begun < 1.1
    assert outcome_of(error).error_class is E.TIMEOUT


def test_a_longer_answer_than_the_cap_is_a_fault_also_when_the_library_streams(make: Make) -> None:
    with Server(floods(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536)).running() as server:
        outcome = outcome_of(_raised(make(), server.url, stream=True))
    assert (outcome.error_class, len(outcome.body)) == (E.TOO_LARGE, 10_000)


def test_a_fault_is_found_under_what_a_library_made_of_it(make: Make) -> None:
    with Server(resets(b"")).running() as server:
        error = _raised(make(), server.url)
    wrapped = RuntimeError("library")
    wrapped.__cause__ = ValueError("inner")
    wrapped.__cause__.__context__ = error
    assert outcome_of(wrapped).error_class is E.RESET
    assert outcome_of(KeyError("canary-secret")).error_class is E.INTERNAL
    assert "canary" not in outcome_of(KeyError("canary-secret")).message


def test_cancelling_ends_a_request_and_those_after_it(make: Make) -> None:
    cancellation = Cancellation()

    def behave(server: Server, sock: socket.socket) -> None:
        server.read_request(sock)
        cancellation.cancel()
        server.stopping.wait()

    with Server(behave).running() as server:
        session = make(cancellation=cancellation)
        assert outcome_of(_raised(session, server.url)).error_class is E.CANCELLED
        assert outcome_of(_raised(session, server.url)).error_class is E.CANCELLED
    assert server.connections == 1


def test_authentication_goes_with_every_request_and_may_take_two_rounds(make: Make) -> None:
    challenge = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\nContent-Length: 0\r\n\r\n'
    with Server(answers(challenge, OK)).running() as server:
        session = make(auth=HTTPDigestAuth("me", "pw"))
        assert session.get(server.url).status_code == 200
        assert session.get(server.url).status_code == 200
    assert [b"Authorization: Digest" in request for request in server.requests] == [False, True, True]


def test_a_fault_of_an_authentication_object_shows_no_text(make: Make) -> None:
    def auth(request: PreparedRequest) -> PreparedRequest:
        request.register_hook("response", broken)  # type: ignore[no-untyped-call]
        return request

    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("canary-secret")

    with Server(answers(OK)).running() as server:
        outcome = outcome_of(_raised(make(auth=auth), server.url))
    assert (outcome.error_class, outcome.status) == (E.INTERNAL, 200)
    assert "canary" not in outcome.message


@pytest.mark.parametrize("name", ["Host", "Transfer-Encoding", "Connection"])
def test_a_header_that_only_the_hub_sets_is_not_taken_from_a_library(make: Make, name: str) -> None:
    with Server(silent).running() as server:
        outcome = outcome_of(_raised(make(), server.url, headers={name: "x"}))
        assert server.connections == 0
    assert outcome.error_class is E.INTERNAL


def test_there_is_no_other_way_out_of_the_session(make: Make) -> None:
    with Server(answers(OK)).running() as server:
        session = make(policy=AddressPolicy(ports=[0]))
        session.mount("http://", requests.adapters.HTTPAdapter())
        prepared = session.prepare_request(requests.Request("GET", server.url))
        with pytest.raises(ExchangeFault):
            session.send(prepared)
        with pytest.raises(Exception, match="not a public address"):
            session.get_adapter(server.url).send(prepared)
        assert server.connections == 0
