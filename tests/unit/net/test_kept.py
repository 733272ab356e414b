from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from hub.net.kept import Ends, Kept

ENDS: Ends = ("10.0.0.1", "10.0.0.2", 443, 50_000)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_silent_connection_is_fit(pair: tuple[socket.socket, socket.socket]) -> None:
    kept = Kept()
    kept.connected(ENDS, [pair[0].fileno()])
    assert kept.is_fit(ENDS)


def test_one_that_shows_bytes_is_not_fit(pair: tuple[socket.socket, socket.socket]) -> None:
    kept = Kept()
    kept.connected(ENDS, [pair[0].fileno()])
    pair[1].send(b"HTTP/1.1 200 OK")
    assert not kept.is_fit(ENDS)


def test_one_that_the_other_side_closed_is_not_fit(pair: tuple[socket.socket, socket.socket]) -> None:
    kept = Kept()
    kept.connected(ENDS, [pair[0].fileno()])
    pair[1].close()
    assert not kept.is_fit(ENDS)


def test_an_unknown_one_is_not_fit() -> None:
    assert not Kept().is_fit(ENDS)


def test_a_number_that_is_used_anew_ends_the_connection_before(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    kept = Kept()
    kept.connected(ENDS, [pair[0].fileno()])
    kept.opened(pair[0].fileno())
    assert not kept.is_fit(ENDS)
    other: Ends = ("10.0.0.3", "10.0.0.2", 443, 50_001)
    kept.connected(other, [pair[0].fileno()])
    assert kept.is_fit(other)


def test_of_several_sockets_the_one_with_the_own_port_is_the_connection() -> None:
    kept = Kept()
    with socket.socket() as lost, socket.socket() as won, socket.socket() as closed:
        for one in (lost, won):
            one.bind(("127.0.0.1", 0))
        gone = closed.fileno()
        closed.close()
        ends: Ends = ("127.0.0.1", "127.0.0.1", 80, won.getsockname()[1])
        kept.connected(ends, [gone, lost.fileno(), won.fileno()])
        kept.opened(lost.fileno())
        # An unconnected socket shows its hang-up: what is told apart here is known from unknown.
        assert ends in kept._looks
        kept.opened(won.fileno())
        assert ends not in kept._looks
