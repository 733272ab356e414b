"""The ends that a call of the session can be given from outside: cancellation, and a deadline of several calls."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from requests.auth import HTTPDigestAuth

from hub.net import GuardedSession, dns
from hub.net.cancellation import Cancellation
from hub.net.identity import TlsIdentity
from hub.net.outcome import ErrorClass as E
from hub.net.outcome import Outcome
from hub.net.sockets import Deadline
from tests.integration.net.conftest import LOOPBACK
from tests.integration.net.hostile import OK, Behaviour, Server, answers, certificate, drips, silent

HEAD = b"HTTP/1.1 200 OK\r\n"
CHALLENGE = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\nContent-Length: 0\r\n\r\n'


@pytest.fixture
def session() -> Iterator[GuardedSession]:
    made = GuardedSession(LOOPBACK)
    yield made
    made.close()


def _cancelled(session: GuardedSession, url: str, ready: Callable[[], object], **options: Any) -> Outcome:
    """A call that is cancelled as soon as it is ready for it, and must end at once."""
    cancellation = Cancellation()
    with ThreadPoolExecutor(1) as thread:
        call = thread.submit(session.call, "POST", url, timeout=20, cancellation=cancellation, **options)
        ready()
        time.sleep(0.1)  # so that the call is back at waiting
        begun = time.monotonic()
        cancellation.cancel()
        outcome = call.result(10)
        assert time.monotonic() - begun < 5
    assert outcome.error_class is E.CANCELLED
    assert outcome.message == "The call was cancelled."
    return outcome


def _then_hangs(*replies: bytes) -> tuple[Behaviour, threading.Event]:
    """Answers so often, and takes one request more, which the event tells."""
    hangs = threading.Event()

    def behave(server: Server, sock: socket.socket) -> None:
        for reply in replies:
            server.read_request(sock)
            sock.sendall(reply)
        server.read_request(sock)
        hangs.set()
        server.stopping.wait()

    return behave, hangs


def test_a_call_without_an_answer_is_ended(session: GuardedSession) -> None:
    behave, hangs = _then_hangs()
    with Server(behave).running() as server:
        assert _cancelled(session, server.url, hangs.wait, data=b"x").status is None


@pytest.mark.parametrize(
    "start",
    [
        HEAD + b"Content-Length: 100\r\n\r\n",
        HEAD + b"\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n.\r\n",
    ],
    ids=["length", "to the end", "chunks"],
)
def test_half_an_answer_is_cancelled_and_no_success(session: GuardedSession, start: bytes) -> None:
    hangs = threading.Event()

    def begins(server: Server, sock: socket.socket) -> None:
        server.read_request(sock)
        sock.sendall(start + b"half")
        hangs.set()
        server.stopping.wait()

    with Server(begins).running() as server:
        outcome = _cancelled(session, server.url, hangs.wait, data=b"x")
    assert outcome.status == 200


def test_a_reused_connection_is_ended_and_not_kept(session: GuardedSession) -> None:
    behave, hangs = _then_hangs(OK)
    with Server(behave).running() as server:
        assert session.call("POST", server.url, data=b"x").ok
        _cancelled(session, server.url, hangs.wait, data=b"x")
        assert server.connections == 1
        assert session.call("POST", server.url, data=b"x").ok
        assert server.connections == 2


def test_a_second_round_of_authentication_is_ended(session: GuardedSession) -> None:
    behave, hangs = _then_hangs(CHALLENGE)
    with Server(behave).running() as server:
        _cancelled(session, server.url, hangs.wait, auth=HTTPDigestAuth("me", "pw"))


def test_a_drip_and_a_request_that_is_not_read_are_ended(session: GuardedSession) -> None:
    with Server(drips(HEAD, b"X: 1\r\n")).running() as server:
        _cancelled(session, server.url, lambda: None)
    with Server(silent).running() as server:
        _cancelled(session, server.url, lambda: None, data=bytes(50_000_000))


def test_a_handshake_and_a_call_under_tls_are_ended(session: GuardedSession, tmp_path: Path) -> None:
    with Server(silent).running() as server:
        _cancelled(session, server.url.replace("http:", "https:"), lambda: None)
    server_context, ca_file = certificate(tmp_path)
    behave, hangs = _then_hangs(OK)
    identity = TlsIdentity(ca=Path(ca_file).read_bytes())
    with Server(behave, tls=server_context).running() as server:
        assert session.call("GET", server.url, identity=identity).ok
        _cancelled(session, server.url, hangs.wait, identity=identity)


def test_a_look_up_is_ended(session: GuardedSession, monkeypatch: pytest.MonkeyPatch) -> None:
    never, asked = threading.Event(), threading.Event()

    def hang(host: str, port: int) -> list[dns.Address]:
        asked.set()
        never.wait(20)
        return []

    monkeypatch.setattr(dns, "_lookup", hang)
    _cancelled(session, "http://slow.test/", asked.wait)
    never.set()


def test_a_cancelled_call_does_not_begin_and_costs_no_kept_connection(session: GuardedSession) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with Server(answers(OK)).running() as server:
        outcome = session.call("GET", server.url, cancellation=cancellation)
        assert outcome.error_class is E.CANCELLED
        assert server.connections == 0


def test_a_call_that_ended_before_is_not_touched_by_its_cancellation(session: GuardedSession) -> None:
    with Server(answers(OK)).running() as server:
        for _ in range(3):
            cancellation = Cancellation()
            assert session.call("GET", server.url, cancellation=cancellation).ok
            cancellation.cancel()
        assert server.connections == 1


def test_cancelling_at_any_moment_harms_no_other_call(session: GuardedSession) -> None:
    """Sockets are reused, and descriptors even more: a late cancellation must never end another call."""
    with Server(answers(OK)).running() as server:

        def cancelled_somewhen(number: int) -> E | None:
            cancellation = Cancellation()
            timer = threading.Timer(number % 20 / 10_000, cancellation.cancel)
            timer.start()
            outcome = session.call("GET", server.url, cancellation=cancellation, timeout=10)
            timer.join()
            return outcome.error_class

        def undisturbed(_: int) -> E | None:
            return session.call("GET", server.url, timeout=10, pool_key="undisturbed").error_class

        with ThreadPoolExecutor(8) as threads:
            others = [threads.submit(undisturbed, number) for number in range(300)]
            mine = set(threads.map(cancelled_somewhen, range(300)))
            assert {other.result() for other in others} == {None}
    assert mine <= {None, E.CANCELLED}


def test_several_calls_share_one_deadline(session: GuardedSession) -> None:
    def behave(server: Server, sock: socket.socket) -> None:
        for _ in range(2):
            server.read_request(sock)
            sock.sendall(OK)
        server.stopping.wait()

    with Server(behave).running() as server:
        deadline, begun = Deadline(2.0), time.monotonic()
        verdicts = [
            session.call("GET", server.url, deadline=deadline, timeout=0.01).error_class for _ in range(4)
        ]
        # A deadline each for the last two would be four seconds.
        assert 1.9 < time.monotonic() - begun < 3.8
    assert verdicts[:2] == [None, None]
    assert set(verdicts[2:]) <= {E.TIMEOUT, E.CONNECT_TIMEOUT, E.DNS}
