"""Connections for clients that are no HTTP session: their address, their deadline, their end."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.net import AddressPolicy, EgressRefused, dns
from hub.net.cancellation import Cancellation, Cancelled
from hub.net.dial import dial, resolve_one, secure
from hub.net.identity import context
from hub.net.sockets import Deadline, PlainSocket, TlsSocket
from hub.net.trace import Phase, Trace
from tests.integration.net.conftest import LOOPBACK
from tests.integration.net.hostile import Behaviour, Server, certificate, free_port, silent


def _echo(server: Server, sock: socket.socket) -> None:
    while data := sock.recv(65_536):
        sock.sendall(data)


def _drips(server: Server, sock: socket.socket) -> None:
    while not server.stopping.wait(0.05):
        sock.sendall(b".")


@pytest.fixture
def full() -> Iterator[int]:
    """The port of a listener whose queue is full, so that a connection to it is never answered."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = int(listener.getsockname()[1])
        for _ in range(3):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(("127.0.0.1", port))
        yield port


@contextlib.contextmanager
def _dialled(behave: Behaviour, seconds: float) -> Iterator[PlainSocket]:
    """A connection to a server, under a deadline."""
    with Server(behave).running() as server:
        sock = dial(LOOPBACK, "127.0.0.1", server.port, deadline=Deadline(seconds))
        with sock:
            yield sock


def _read_until_end(sock: socket.socket) -> None:
    while sock.recv(100):
        pass


def _seconds_until(error: type[Exception], act: Callable[[], Any]) -> float:
    begun = time.monotonic()
    with pytest.raises(error):
        act()
    return time.monotonic() - begun


#: Soon, also on a machine that is busy; without the deadline that is tested it would be never, or after five seconds.
_SOON = 4


def test_a_dialled_socket_talks_to_the_judged_address_and_the_trace_tells_the_steps() -> None:
    trace = Trace()
    with Server(_echo).running() as server:
        sock = dial(LOOPBACK, "localhost", server.port, deadline=Deadline(5), trace=trace)
        with sock:
            sock.sendall(b"hello")
            assert sock.recv(100) == b"hello"
            assert sock.send(b"again") == 5
            assert sock.makefile("rb").read(5) == b"again"
    assert trace.phase is Phase.SEND
    assert trace.peer == "127.0.0.1"
    assert trace.timings.dns_ms is not None
    assert trace.timings.connect_ms is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_refused_address_gets_no_connection(host: str) -> None:
    with Server(_echo).running() as server:
        with pytest.raises(EgressRefused):
            dial(AddressPolicy(ports=[0]), host, server.port, deadline=Deadline(5))
        with pytest.raises(EgressRefused):
            dial(AddressPolicy(allow=["127.0.0.0/8"]), host, server.port, deadline=Deadline(5))
        assert server.connections == 0


def test_a_usual_port_may_be_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = AddressPolicy(allow=["127.0.0.0/8"])
    with Server(_echo).running() as server:
        sock = dial(policy, "127.0.0.1", server.port, deadline=Deadline(5), usual_ports=(server.port,))
        with sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"


def test_the_peer_is_judged_again_once_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlainSocket, "getpeername", lambda _: ("10.0.0.1", 1), raising=False)
    opened: list[PlainSocket] = []
    connect = socket.socket.connect

    def noted(sock: PlainSocket, to: Any) -> None:
        opened.append(sock)
        connect(sock, to)

    monkeypatch.setattr(PlainSocket, "connect", noted, raising=False)
    with Server(_echo).running() as server, pytest.raises(EgressRefused, match=r"ended at 10\.0\.0\.1"):
        dial(LOOPBACK, "127.0.0.1", server.port, deadline=Deadline(5))
    assert [sock.fileno() for sock in opened] == [-1]


def test_a_library_that_connects_by_itself_gets_judged_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_one(LOOPBACK, "127.0.0.1", 5, deadline=Deadline(5)) == ["127.0.0.1"]
    assert "127.0.0.1" in resolve_one(LOOPBACK, "localhost", 5, deadline=Deadline(5))
    with pytest.raises(EgressRefused):
        resolve_one(AddressPolicy(ports=[0]), "localhost", 5, deadline=Deadline(5))
    with pytest.raises(EgressRefused, match="Port 5"):
        resolve_one(AddressPolicy(), "1.1.1.1", 5, deadline=Deadline(5))


def test_a_closed_port_is_an_error_at_once() -> None:
    assert (
        _seconds_until(
            ConnectionRefusedError, lambda: dial(LOOPBACK, "127.0.0.1", free_port(), deadline=Deadline(5))
        )
        < _SOON
    )


def test_the_deadline_covers_the_connection(full: int) -> None:
    assert (
        0.3
        < _seconds_until(TimeoutError, lambda: dial(LOOPBACK, "127.0.0.1", full, deadline=Deadline(0.4)))
        < _SOON
    )


@pytest.mark.parametrize("behave", [silent, _drips], ids=["silence", "a drip"])
def test_the_deadline_covers_reading(behave: Any) -> None:
    with _dialled(behave, 0.5) as sock:
        assert 0.1 < _seconds_until(TimeoutError, lambda: _read_until_end(sock)) < _SOON


def test_the_deadline_covers_writing() -> None:
    with _dialled(silent, 0.5) as sock:
        assert 0.1 < _seconds_until(TimeoutError, lambda: sock.sendall(bytes(50_000_000))) < _SOON


def test_a_shorter_timeout_of_a_library_counts_and_is_what_it_reads_back() -> None:
    with _dialled(silent, 5) as sock:
        assert sock.gettimeout() is None
        sock.settimeout(0.2)
        assert _seconds_until(TimeoutError, lambda: sock.recv(1)) < _SOON
        assert sock.gettimeout() == 0.2
        sock.setblocking(False)
        assert _seconds_until(BlockingIOError, lambda: sock.recv(1)) < _SOON


def test_after_the_deadline_a_library_with_timeouts_of_its_own_sees_an_end_and_does_not_spin() -> None:
    with _dialled(silent, 0.4) as sock:
        sock.settimeout(0.25)
        begun, timeouts = time.monotonic(), 0
        ended = False
        while not ended:
            try:
                ended = not sock.recv(100)
            except TimeoutError:
                timeouts += 1
        assert 0.1 < time.monotonic() - begun < _SOON
        assert timeouts <= 2


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    made, ca_file = certificate(tmp_path, name="localhost")
    made.maximum_version = ssl.TLSVersion(request.param)
    return made, ca_file


def _secured(server: Server, ca_file: str, deadline: Deadline, **options: Any) -> TlsSocket:
    sock = dial(LOOPBACK, "localhost", server.port, deadline=deadline, **options)
    return secure(sock, "localhost", context=context(None, default_ca=ca_file), deadline=deadline)


def test_a_secured_socket_is_encrypted_and_offers_no_protocol_of_the_web(
    tls: tuple[ssl.SSLContext, str],
) -> None:
    server_context, ca_file = tls
    server_context.set_alpn_protocols(["http/1.1"])
    with (
        Server(_echo, tls=server_context).running() as server,
        _secured(server, ca_file, Deadline(5)) as sock,
    ):
        sock.sendall(b"x" * 100_000)
        assert len(sock.recv(10)) == 10
        assert sock.makefile("rb").read(99_990) == b"x" * 99_990
        assert sock.version() in {"TLSv1.2", "TLSv1.3"}
        assert sock.selected_alpn_protocol() is None


def test_a_certificate_of_another_name_or_authority_is_refused(tls: tuple[ssl.SSLContext, str]) -> None:
    server_context, ca_file = tls
    with Server(_echo, tls=server_context).running() as server:
        for host, ca in (("127.0.0.1", ca_file), ("localhost", None)):
            sock = dial(LOOPBACK, "localhost", server.port, deadline=Deadline(5))
            with pytest.raises(ssl.SSLCertVerificationError):
                secure(sock, host, context=context(None, default_ca=ca), deadline=Deadline(5))
            assert sock.fileno() == -1


def test_the_deadline_covers_the_handshake() -> None:
    with Server(silent).running() as server:
        deadline = Deadline(0.5)
        sock = dial(LOOPBACK, "localhost", server.port, deadline=deadline)
        act = lambda: secure(sock, "localhost", context=context(None, default_ca=None), deadline=deadline)  # noqa: E731
        assert 0.1 < _seconds_until(TimeoutError, act) < _SOON
        assert sock.fileno() == -1


@pytest.mark.parametrize(
    "read", [lambda s: s.recv(1), lambda s: s.read(1), lambda s: s.recv_into(bytearray(1))]
)
def test_the_deadline_covers_reading_under_tls(
    tls: tuple[ssl.SSLContext, str], read: Callable[[Any], Any]
) -> None:
    server_context, ca_file = tls
    with (
        Server(_drips, tls=server_context).running() as server,
        _secured(server, ca_file, Deadline(0.7)) as sock,
    ):

        def all_of_it() -> None:
            while True:
                read(sock)

        assert 0.1 < _seconds_until(TimeoutError, all_of_it) < _SOON


def test_a_library_that_starts_tls_by_itself_stays_under_deadline_and_cancellation(
    tls: tuple[ssl.SSLContext, str],
) -> None:
    server_context, ca_file = tls
    made, cancellation = context(None, default_ca=ca_file), Cancellation()
    with Server(silent, tls=server_context).running() as server:
        sock = dial(LOOPBACK, "localhost", server.port, deadline=Deadline(0.6))
        with made.wrap_socket(sock, server_hostname="localhost") as secured:
            assert 0.1 < _seconds_until(TimeoutError, lambda: secured.recv(1)) < _SOON
        sock = dial(LOOPBACK, "localhost", server.port, deadline=Deadline(20), cancellation=cancellation)
        with made.wrap_socket(sock, server_hostname="localhost", do_handshake_on_connect=False) as secured:
            secured.do_handshake()
            # An end, or an error where the TLS library wants to write first.
            with _cancelled_in_a_moment(cancellation), contextlib.suppress(BrokenPipeError):
                assert secured.recv(1) == b""


@contextlib.contextmanager
def _cancelled_in_a_moment(cancellation: Cancellation) -> Iterator[None]:
    """What stands inside has to end soon after it is cancelled, from another thread, 0.2 s later."""
    moment: list[float] = []

    def cancel() -> None:
        moment.append(time.monotonic())
        cancellation.cancel()

    timer = threading.Timer(0.2, cancel)
    timer.start()
    try:
        yield
    finally:
        ended = time.monotonic()
        timer.join()
        assert 0 <= ended - moment[0] < 0.5


def test_cancelling_ends_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    def hang(host: str, port: int) -> list[dns.Address]:
        never.wait(20)
        return []

    monkeypatch.setattr(dns, "_lookup", hang)
    cancellation = Cancellation()
    with _cancelled_in_a_moment(cancellation), pytest.raises(Cancelled):
        dial(LOOPBACK, "slow.example", 80, deadline=Deadline(20), cancellation=cancellation)
    cancellation = Cancellation()
    with _cancelled_in_a_moment(cancellation), pytest.raises(Cancelled):
        resolve_one(LOOPBACK, "slow.example", 80, deadline=Deadline(20), cancellation=cancellation)
    never.set()


def test_cancelling_ends_a_connection_that_is_not_answered(full: int) -> None:
    cancellation = Cancellation()
    with _cancelled_in_a_moment(cancellation), pytest.raises(Cancelled):
        dial(LOOPBACK, "127.0.0.1", full, deadline=Deadline(20), cancellation=cancellation)


def test_cancelling_ends_a_handshake() -> None:
    cancellation = Cancellation()
    with Server(silent).running() as server, _cancelled_in_a_moment(cancellation):
        sock = dial(LOOPBACK, "localhost", server.port, deadline=Deadline(20), cancellation=cancellation)
        with pytest.raises((OSError, Cancelled)):
            secure(sock, "localhost", context=context(None, default_ca=None), deadline=Deadline(20))


@pytest.mark.parametrize("encrypted", [False, True])
def test_cancelling_ends_reading_and_writing(tmp_path: Path, encrypted: bool) -> None:
    server_context, ca_file = certificate(tmp_path, name="localhost")
    for act in (_read_until_end, lambda s: s.sendall(bytes(50_000_000))):
        cancellation = Cancellation()
        with Server(silent, tls=server_context if encrypted else None).running() as server:
            if encrypted:
                sock: PlainSocket = _secured(server, ca_file, Deadline(20), cancellation=cancellation)
            else:
                sock = dial(
                    LOOPBACK, "localhost", server.port, deadline=Deadline(20), cancellation=cancellation
                )
            with sock, _cancelled_in_a_moment(cancellation), contextlib.suppress(OSError):
                act(sock)


def test_nothing_is_dialled_for_a_call_that_was_cancelled() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with Server(silent).running() as server:
        with pytest.raises(Cancelled):
            dial(LOOPBACK, "127.0.0.1", server.port, deadline=Deadline(5), cancellation=cancellation)
        assert server.connections == 0


def test_a_released_socket_lives_on_when_its_call_is_cancelled_afterwards() -> None:
    with Server(_echo).running() as server:
        early, late = Cancellation(), Cancellation()
        with dial(LOOPBACK, "127.0.0.1", server.port, deadline=Deadline(5), cancellation=late) as sock:
            assert sock.release()
            late.cancel()
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
        with dial(LOOPBACK, "127.0.0.1", server.port, deadline=Deadline(5), cancellation=early) as sock:
            early.cancel()
            assert not sock.release()
            assert sock.recv(1) == b""


def test_a_closed_socket_is_forgotten_by_its_cancellation() -> None:
    cancellation = Cancellation()
    with Server(_echo).running() as server:
        sock = dial(LOOPBACK, "127.0.0.1", server.port, deadline=Deadline(5), cancellation=cancellation)
        file = sock.makefile("rb")
        sock.close()
        assert len(cancellation._closers) == 1, "the file still reads from the connection"
        file.close()
    assert cancellation._closers == []
    cancellation.cancel()
