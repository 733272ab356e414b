"""Mutual TLS on the way out: who a receiver sees, call by call."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.net import Call, ClientCertificate, MultiSender
from hub.net.outcome import ErrorClass as E
from tests.integration.net.conftest import LOOPBACK, finish
from tests.integration.net.hostile import OK, Server, answers, certificate, client_identity

NOW = dt.datetime.now(dt.UTC)


def _who(server: Server, sock: socket.socket) -> bytes:
    assert isinstance(sock, ssl.SSLSocket)
    shown = sock.getpeercert()
    names = dict(part[0] for part in shown["subject"]) if shown else {}  # type: ignore[misc]
    return str(names.get("commonName", "nobody")).encode()


def _tells_who(server: Server, sock: socket.socket) -> None:
    """Answers every request with the name of the certificate that its connection showed."""
    while server.read_request(sock):
        who = _who(server, sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(who) + who)


def _tells_who_once(server: Server, sock: socket.socket) -> None:
    """The same, with a new connection for each request, so that TLS sessions are resumed."""
    server.read_request(sock)
    who = _who(server, sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(who) + who)


class Party:
    """A server that asks for certificates, two that it knows and one that it does not."""

    def __init__(self, folder: Path, version: ssl.TLSVersion, demand: ssl.VerifyMode) -> None:
        self.context, self.ca_file = certificate(folder)
        self.context.maximum_version = version
        self.context.verify_mode = demand
        self.identities = {name: client_identity(name) for name in ("alice", "bob", "stranger")}
        for name in ("alice", "bob"):
            self.context.load_verify_locations(cadata=self.identities[name][0])
        self.sender = MultiSender(LOOPBACK, max_in_flight=50, ca_file=self.ca_file)

    def certificate(self, name: str | None) -> ClientCertificate | None:
        return None if name is None else ClientCertificate.parse(*self.identities[name], now=NOW)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    return ssl.TLSVersion(request.param)


@pytest.fixture
def open_party(tmp_path: Path, version: ssl.TLSVersion) -> Iterator[Party]:
    party = Party(tmp_path, version, ssl.CERT_OPTIONAL)
    yield party
    party.sender.close()


@pytest.fixture
def strict_party(tmp_path: Path, version: ssl.TLSVersion) -> Iterator[Party]:
    party = Party(tmp_path, version, ssl.CERT_REQUIRED)
    yield party
    party.sender.close()


@pytest.fixture
def sender() -> Iterator[MultiSender]:
    made = MultiSender(LOOPBACK, max_in_flight=50)
    yield made
    made.close()


ORDER = ["alice", "bob", None, "alice", None, None, "bob", "bob", "alice", None]


@pytest.mark.parametrize("behaviour", [_tells_who, _tells_who_once], ids=["kept", "resumed"])
def test_each_call_shows_its_own_certificate_or_none(open_party: Party, behaviour: object) -> None:
    sender = open_party.sender
    with Server(behaviour, tls=open_party.context).running() as server:  # type: ignore[arg-type]
        seen = []
        for name in ORDER:
            sender.add(Call(name, server.url, [], b"{}", 5.0, open_party.certificate(name)))
            [(_, outcome)] = finish(sender)
            seen.append(outcome.body.decode())
    assert seen == [name or "nobody" for name in ORDER]
    assert server.connections == (3 if behaviour is _tells_who else len(ORDER))


def test_calls_at_once_show_each_their_own_certificate(open_party: Party) -> None:
    sender = open_party.sender
    with Server(_tells_who, tls=open_party.context).running() as server:
        for _ in range(2):
            for name in ORDER:
                sender.add(Call(name, server.url, [], b"{}", 5.0, open_party.certificate(name)))
            done = finish(sender, len(ORDER))
            assert len(done) == len(ORDER)
            assert all(outcome.body.decode() == (call.key or "nobody") for call, outcome in done)


def test_the_same_certificate_in_two_objects_shares_a_connection(open_party: Party) -> None:
    sender = open_party.sender
    with Server(_tells_who, tls=open_party.context).running() as server:
        for _ in range(3):
            sender.add(Call(1, server.url, [], b"{}", 5.0, open_party.certificate("alice")))
            assert finish(sender)[0][1].ok
    assert server.connections == 1


@pytest.mark.parametrize("name", [None, "stranger"])
def test_a_receiver_that_refuses_the_certificate_is_a_tls_error(
    strict_party: Party, name: str | None, version: ssl.TLSVersion
) -> None:
    sender = strict_party.sender
    with Server(_tells_who, tls=strict_party.context).running() as server:
        sender.add(Call(1, server.url, [], b"{}", 5.0, strict_party.certificate("alice")))
        assert finish(sender)[0][1].body == b"alice"
        sender.add(Call(2, server.url, [], b"{}", 5.0, strict_party.certificate(name)))
        [(_, outcome)] = finish(sender)
    # In TLS 1.3 the refusal may be overtaken by the reset that ends the connection.
    late = {E.TLS, E.RESET} if version is ssl.TLSVersion.TLSv1_3 else {E.TLS}
    assert outcome.error_class in late
    assert len(server.requests) == 1


def test_a_certificate_does_not_switch_off_the_check_of_the_receiver(
    open_party: Party, sender: MultiSender
) -> None:
    with Server(_tells_who, tls=open_party.context).running() as server:
        sender.add(Call(1, server.url, [], b"{}", 5.0, open_party.certificate("alice")))
        [(_, outcome)] = finish(sender)
    assert outcome.error_class is E.TLS
    assert server.requests == []


def test_a_key_that_is_broken_in_the_store_is_our_own_fault(
    open_party: Party,
) -> None:
    good, other = open_party.certificate("alice"), open_party.certificate("bob")
    assert good is not None
    assert other is not None
    sender = open_party.sender
    with Server(_tells_who, tls=open_party.context).running() as server:
        sender.add(Call(1, server.url, [], b"{}", 5.0, ClientCertificate(good.chain, other.key)))
        [(_, outcome)] = finish(sender)
        assert outcome.error_class is E.INTERNAL
        assert "stored client certificate" in outcome.message
        sender.add(Call(2, server.url, [], b"{}", 5.0, good))
        [(_, outcome)] = finish(sender)
    assert outcome.body == b"alice"


@pytest.mark.parametrize("kept", [True, False])
def test_a_private_authority_counts_for_its_own_call_alone(
    tmp_path: Path, sender: MultiSender, kept: bool, version: ssl.TLSVersion
) -> None:
    context, ca_file = certificate(tmp_path)
    context.maximum_version = version
    reply = OK if kept else OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    verdicts = []
    with Server(answers(reply, close=not kept), tls=context).running() as server:
        for ca in (Path(ca_file).read_bytes(), None, Path(ca_file).read_bytes(), None):
            sender.add(Call(1, server.url, [], b"{}", 5.0, ca=ca))
            verdicts.append(finish(sender)[0][1].error_class)
    assert verdicts == [None, E.TLS, None, E.TLS]
    assert len(server.requests) == 2
