"""Tokens over a real connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.core.secret import Secret
from hub.net import ErrorClass, GuardedSession, TokenFault, TokenRequest, TokenSource
from tests.integration.net.conftest import LOOPBACK
from tests.integration.net.hostile import OK, Server, answers, floods
from tests.support.waiting import until


@pytest.fixture
def source() -> Iterator[TokenSource]:
    session = GuardedSession(LOOPBACK)
    made = TokenSource(session)
    yield made
    made.close()
    session.close()


def _fetch(source: TokenSource, server: Server) -> TokenFault | None:
    told: list[TokenFault | None] = []
    source.request("k", TokenRequest(server.url, "id", Secret("canary")), told.append)
    until(lambda: told, seconds=15, what="the end of the fetch")
    return told[0]


def test_a_token_comes_from_a_real_endpoint(source: TokenSource) -> None:
    body = b'{"access_token": "abc.def", "token_type": "bearer", "expires_in": 60}'
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with Server(answers(reply)).running() as server:
        assert _fetch(source, server) is None
    assert source.get("k") == "abc.def"
    [request] = server.requests
    assert request.endswith(b"\r\n\r\ngrant_type=client_credentials")
    assert b"Authorization: Basic aWQ6Y2FuYXJ5\r\n" in request


def test_a_redirect_of_the_token_endpoint_is_not_followed(source: TokenSource) -> None:
    with Server(answers(OK)).running() as other:
        reply = f"HTTP/1.1 307 Go\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with Server(answers(reply)).running() as server:
            fault = _fetch(source, server)
    assert fault is not None
    assert fault.error_class is ErrorClass.REDIRECT
    assert other.connections == 0


def test_an_endless_answer_of_the_token_endpoint_is_cut(source: TokenSource) -> None:
    with Server(floods(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000)).running() as server:
        fault = _fetch(source, server)
    assert fault is not None
    assert fault.error_class is ErrorClass.TOO_LARGE
    assert "canary" not in fault.message
