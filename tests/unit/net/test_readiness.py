from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pycurl
import pytest

from hub.net.readiness import Readiness


@pytest.fixture
def readiness() -> Iterator[Readiness]:
    made = Readiness()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def _wish(readiness: Readiness, what: int, sock: socket.socket) -> int:
    readiness.follow(what, sock.fileno(), None, None)
    return sock.fileno()


def test_a_ready_socket_is_told_with_what_it_is_ready_for(
    readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    number = _wish(readiness, pycurl.POLL_IN, pair[0])
    assert readiness.wait(0) == (False, [])
    pair[1].send(b"x")
    assert readiness.wait(1) == (False, [(number, pycurl.CSELECT_IN)])
    _wish(readiness, pycurl.POLL_INOUT, pair[0])
    assert readiness.wait(1) == (False, [(number, pycurl.CSELECT_IN | pycurl.CSELECT_OUT)])


def test_a_ring_is_heard_once(readiness: Readiness) -> None:
    readiness.ring()
    readiness.ring()
    assert readiness.wait(5) == (True, [])
    assert readiness.wait(0) == (False, [])


def test_an_idle_socket_that_shows_something_is_watched_no_longer(
    readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    number = _wish(readiness, pycurl.POLL_IN, pair[0])
    _wish(readiness, pycurl.POLL_REMOVE, pair[0])
    pair[1].send(b"x")
    assert readiness.wait(1) == (False, [])
    assert number not in readiness._watched
    _wish(readiness, pycurl.POLL_IN, pair[0])
    assert readiness.wait(1) == (False, [(number, pycurl.CSELECT_IN)])


def test_a_number_that_comes_back_as_a_new_socket_is_watched_anew(
    readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    old, _peer = socket.socketpair()
    number = _wish(readiness, pycurl.POLL_IN, old)
    _wish(readiness, pycurl.POLL_REMOVE, old)
    os.dup2(pair[0].fileno(), number)
    readiness.forget((number,))
    readiness.follow(pycurl.POLL_IN, number, None, None)
    pair[1].send(b"x")
    assert readiness.wait(1) == (False, [(number, pycurl.CSELECT_IN)])
    old.close()
    _peer.close()


def test_a_wish_for_nothing_or_for_an_unknown_socket_changes_nothing(
    readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    _wish(readiness, pycurl.POLL_REMOVE, pair[0])
    _wish(readiness, pycurl.POLL_NONE, pair[0])
    pair[1].send(b"x")
    assert readiness.wait(0) == (False, [])
