"""What only the multi sender for webhook fan-out does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hub.net import AddressPolicy, Call, MultiSender, names
from hub.net.outcome import ErrorClass as E
from tests.integration.net.conftest import LOOPBACK, finish
from tests.integration.net.hostile import OK, Server, answers, drips, silent


@pytest.fixture
def sender() -> Iterator[MultiSender]:
    made = MultiSender(LOOPBACK, max_in_flight=50)
    yield made
    made.close()


def _call(url: str, key: object = 0, timeout: float = 5.0) -> Call:
    return Call(key, url, ["Content-Type: application/json"], b"{}", timeout)


def test_each_call_comes_back_once_with_its_own_outcome(sender: MultiSender) -> None:
    def behave(server: Server, sock: socket.socket) -> None:
        while request := server.read_request(sock):
            body = request.partition(b"\r\n\r\n")[2]
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with Server(behave).running() as server:
        for key in range(50):
            sender.add(Call(key, server.url, [b"X-Key: %d" % key], b"body %d" % key, 5.0))
        assert sender.in_flight == 50
        done = finish(sender, 50)
    assert sorted(call.key for call, _ in done) == list(range(50))
    assert all(outcome.body == b"body %d" % call.key for call, outcome in done)
    assert sender.in_flight == 0


def test_handles_and_connections_are_used_again(sender: MultiSender) -> None:
    with Server(answers(OK)).running() as server:
        for key in range(30):
            sender.add(_call(server.url, key))
            [(_, outcome)] = finish(sender)
            assert outcome.ok
    assert server.connections == 1


def test_nothing_of_one_call_is_left_for_the_next(sender: MultiSender) -> None:
    replies = [b"HTTP/1.1 500 No\r\nX-Old: 1\r\nContent-Length: 3\r\n\r\nold", b"HTTP/1.1 204 Fine\r\n\r\n"]
    with Server(answers(*replies)).running() as server:
        sender.add(Call(1, server.url, ["X-First: 1"], b"long first body", 5.0))
        finish(sender)
        sender.add(Call(2, server.url, [], b"", 5.0))
        [(_, outcome)] = finish(sender)
    assert (outcome.status, outcome.headers, outcome.body) == (204, {}, b"")
    assert b"X-First" not in server.requests[1]
    assert b"Content-Length: 0\r\n" in server.requests[1]


def test_the_bytes_sent_are_exactly_the_given_ones(sender: MultiSender) -> None:
    body = bytes(range(256)) * 10_000
    headers = ["Content-Type: application/octet-stream", "webhook-id: msg_1", "User-Agent: ours"]
    with Server(answers(OK)).running() as server:
        sender.add(Call(1, server.url, headers, body, 5.0))
        [(_, outcome)] = finish(sender)
    assert outcome.ok
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    assert sent == body
    for line in headers:
        assert line.encode() in head.split(b"\r\n")
    assert b"Expect" not in head
    assert head.count(b"User-Agent") == 1


def test_a_slow_receiver_holds_up_nobody(sender: MultiSender) -> None:
    with Server(silent).running() as slow, Server(answers(OK)).running() as fast:
        for key in range(10):
            sender.add(_call(slow.url, f"slow {key}", timeout=5))
        for key in range(10):
            sender.add(_call(fast.url, f"fast {key}"))
        first = finish(sender, 10)
        assert all(str(call.key).startswith("fast") and outcome.ok for call, outcome in first)
        rest = finish(sender, 10)
    assert {outcome.error_class for _, outcome in rest} == {E.TIMEOUT}


def test_a_full_sender_takes_nothing(sender: MultiSender) -> None:
    with Server(silent).running() as server:
        for key in range(50):
            sender.add(_call(server.url, key))
        with pytest.raises(RuntimeError, match="full"):
            sender.add(_call(server.url, "too many"))
        assert sender.in_flight == 50


@pytest.mark.parametrize("headers", [["X: a\r\nY: canary"], [b"X: a\nY: canary"], ["X: \0"], ["X: ü\u2028"]])
def test_a_header_line_that_would_split_the_request_is_never_sent(
    sender: MultiSender, headers: list[str] | list[bytes]
) -> None:
    with Server(answers(OK)).running() as server:
        sender.add(Call(1, server.url, headers, b"", 5.0))
        [(_, outcome)] = finish(sender)
        assert outcome.error_class is E.INTERNAL
        assert "canary" not in outcome.message
        sender.add(_call(server.url))
        [(_, after)] = finish(sender)
    assert after.ok
    assert len(server.requests) == 1


def test_hanging_names_hold_up_neither_other_names_nor_the_close(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host.startswith("slow"):
            release.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    sender = MultiSender(LOOPBACK, max_in_flight=100)
    with Server(answers(OK)).running() as server, monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", getaddrinfo)
        for key in range(60):
            sender.add(_call(f"http://slow{key}.example/", key, timeout=20))
        sender.add(_call(f"http://quick.example:{server.port}/", "quick"))
        [(call, outcome)] = finish(sender)
        assert call.key == "quick"
        assert outcome.ok
        assert sender.in_flight == 60
        begun = time.monotonic()
        assert len(sender.close()) == 60
        assert time.monotonic() - begun < 10
        release.set()


def test_a_known_name_goes_on_while_its_servers_are_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "FRESH_SECONDS", 0.0)
    working = [True]
    lookups: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        lookups.append(host)
        if not working[0]:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    reply = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    sender = MultiSender(LOOPBACK, max_in_flight=10)
    with Server(answers(reply, close=True)).running() as server:
        with monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", getaddrinfo)
            for number in range(4):
                working[0] = number == 0
                sender.add(_call(f"http://known.example.:{server.port}/"))
                [(_, outcome)] = finish(sender)
                assert outcome.ok
        sender.close()
    assert len(lookups) > 1


def test_a_refused_call_frees_its_place_and_its_handle(sender: MultiSender) -> None:
    refusing = MultiSender(AddressPolicy(ports=[0]), max_in_flight=1)
    with Server(answers(OK)).running() as server:
        for _ in range(3):
            refusing.add(_call(f"http://localhost:{server.port}/"))
            [(_, outcome)] = finish(refusing)
            assert outcome.error_class is E.REFUSED_BY_POLICY
    refusing.close()
    assert server.connections == 0


def test_an_address_is_judged_again_when_libcurl_opens_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names.Names, "addresses", lambda *_: "127.0.0.1")
    sender = MultiSender(AddressPolicy(ports=[0]), max_in_flight=1)
    with Server(answers(OK)).running() as server:
        sender.add(_call(f"http://forged.example:{server.port}/"))
        [(_, outcome)] = finish(sender)
    sender.close()
    assert outcome.error_class is E.REFUSED_BY_POLICY
    assert server.connections == 0


def test_a_wake_from_another_thread_ends_a_poll(sender: MultiSender) -> None:
    timer = threading.Timer(0.2, sender.wake)
    timer.start()
    begun = time.monotonic()
    assert sender.poll(10) == []
    assert 0.1 < time.monotonic() - begun < 5
    timer.join()


def test_a_wake_before_a_poll_is_not_lost_and_counts_once(sender: MultiSender) -> None:
    for _ in range(100_000):
        sender.wake()
    begun = time.monotonic()
    assert sender.poll(10) == []
    assert time.monotonic() - begun < 5
    begun = time.monotonic()
    assert sender.poll(0.2) == []
    assert time.monotonic() - begun >= 0.19


def test_a_poll_waits_no_longer_than_told(sender: MultiSender) -> None:
    with Server(silent).running() as server:
        sender.add(_call(server.url, timeout=30))
        for wait in (0.0, 0.3):
            begun = time.monotonic()
            assert sender.poll(wait) == []
            # The call would have it wait for half a minute.
            assert wait <= time.monotonic() - begun < wait + 5


def test_closing_gives_back_every_call_whose_outcome_was_not_returned() -> None:
    sender = MultiSender(LOOPBACK, max_in_flight=10)
    with Server(silent).running() as server:
        for key in range(3):
            sender.add(_call(server.url, key))
        sender.poll(0.2)
        sender.add(_call("http://10.0.0.1/", "refused"))
        assert sorted(str(call.key) for call in sender.close()) == ["0", "1", "2", "refused"]


def test_idle_connections_are_closed_while_the_sender_is_polled() -> None:
    sender = MultiSender(LOOPBACK, max_in_flight=10, idle_seconds=0.3)
    with Server(answers(OK)).running() as server:
        sender.add(_call(server.url))
        assert finish(sender)[0][1].ok
        end = time.monotonic() + 5
        while not server.peer_closed.is_set() and time.monotonic() < end:
            sender.poll(0.1)
        assert server.peer_closed.is_set()
        sender.add(_call(server.url))
        assert finish(sender)[0][1].ok
        assert server.connections == 2
    sender.close()


def test_an_idle_connection_is_closed_while_other_calls_go_on() -> None:
    sender = MultiSender(LOOPBACK, max_in_flight=10, idle_seconds=1)
    with Server(answers(OK)).running() as idle, Server(answers(OK)).running() as busy:
        sender.add(_call(idle.url))
        assert finish(sender)[0][1].ok
        end = time.monotonic() + 8
        while not idle.peer_closed.is_set() and time.monotonic() < end:
            sender.add(_call(busy.url))
            assert finish(sender)[0][1].ok
            sender.poll(0.05)
        assert idle.peer_closed.is_set()
        assert not busy.peer_closed.is_set()
    sender.close()


def test_a_late_call_is_returned_when_it_is_late_and_not_at_the_end_of_the_poll(sender: MultiSender) -> None:
    with Server(drips(b"HTTP/1.1 200 OK\r\n\r\n", b".")).running() as server:
        sender.add(_call(server.url, timeout=0.4))
        begun = time.monotonic()
        [(_, outcome)] = sender.poll(10)
        assert time.monotonic() - begun < 8
    assert outcome.error_class is E.TIMEOUT
