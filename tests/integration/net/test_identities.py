"""Client certificates and private authorities in the session for integration calls."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import trustme

from hub.core.secret import Secret
from hub.net import ClientCertificate, GuardedSession
from hub.net.identity import TlsIdentity
from hub.net.identity import context as tls_context
from hub.net.outcome import ErrorClass as E
from hub.net.outcome import Outcome
from tests.integration.net.conftest import LOOPBACK
from tests.integration.net.hostile import Server

NOW = dt.datetime.now(dt.UTC)


def _tells_who(server: Server, sock: socket.socket) -> None:
    """Answers every request with the name of the certificate that its connection showed."""
    assert isinstance(sock, ssl.SSLSocket)
    shown = sock.getpeercert()
    who = b"nobody" if not shown else str(shown["subjectAltName"][0][1]).encode()
    while server.read_request(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(who) + who)


class Party:
    """A service with a certificate of one private authority, which takes clients of another one."""

    def __init__(self, version: ssl.TLSVersion, demand: ssl.VerifyMode) -> None:
        self.services, self.clients = trustme.CA(), trustme.CA()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.maximum_version = version
        self.context.verify_mode = demand
        self.services.issue_cert("127.0.0.1").configure_cert(self.context)
        self.clients.configure_trust(self.context)

    @property
    def ca(self) -> bytes:
        return self.services.cert_pem.bytes()

    def certificate(self, name: str, issuer: trustme.CA | None = None) -> ClientCertificate:
        made = (issuer or self.clients).issue_cert(name)
        chain = b"".join(one.bytes() for one in made.cert_chain_pems)
        return ClientCertificate.parse(chain.decode(), Secret(made.private_key_pem.bytes().decode()), now=NOW)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    return ssl.TLSVersion(request.param)


@pytest.fixture
def session() -> Iterator[GuardedSession]:
    made = GuardedSession(LOOPBACK)
    yield made
    made.close()


def _call(session: GuardedSession, server: Server, identity: TlsIdentity | None) -> Outcome:
    return session.call("GET", server.url, identity=identity, timeout=5)


def test_each_call_shows_its_own_certificate_and_connections_are_kept_for_each(
    session: GuardedSession, version: ssl.TLSVersion
) -> None:
    party = Party(version, ssl.CERT_OPTIONAL)
    identities = {
        "alice.test": TlsIdentity(party.certificate("alice.test"), party.ca),
        "bob.test": TlsIdentity(party.certificate("bob.test"), party.ca),
        "nobody": TlsIdentity(ca=party.ca),
    }
    order = ["alice.test", "bob.test", "nobody", "alice.test", "nobody", "bob.test", "bob.test"]
    with Server(_tells_who, tls=party.context).running() as server:
        seen = [_call(session, server, identities[name]).body.decode() for name in order]
        assert seen == order
        assert server.connections == 3
        again = TlsIdentity(
            ClientCertificate(
                identities["bob.test"].certificate.chain,  # type: ignore[union-attr]
                identities["bob.test"].certificate.key,  # type: ignore[union-attr]
            ),
            party.ca,
        )
        assert _call(session, server, again).body == b"bob.test"
        assert server.connections == 3


def test_connections_are_kept_when_the_context_of_their_identity_was_given_up(
    session: GuardedSession, version: ssl.TLSVersion
) -> None:
    party = Party(version, ssl.CERT_REQUIRED)
    identity = TlsIdentity(party.certificate("a.test"), party.ca)
    with Server(_tells_who, tls=party.context).running() as server:
        for _ in range(3):
            assert _call(session, server, identity).body == b"a.test"
            # As the calls of so many other identities would.
            tls_context.cache_clear()
    assert server.connections == 1


def test_many_threads_show_each_their_own_certificate(
    session: GuardedSession, version: ssl.TLSVersion
) -> None:
    party = Party(version, ssl.CERT_REQUIRED)
    names = [f"client-{number}.test" for number in range(6)]
    identities = {name: TlsIdentity(party.certificate(name), party.ca) for name in names}
    with Server(_tells_who, tls=party.context).running() as server, ThreadPoolExecutor(12) as threads:
        asked = names * 10
        seen = threads.map(lambda name: _call(session, server, identities[name]).body.decode(), asked)
        assert list(seen) == asked


def test_a_service_that_demands_a_certificate_takes_no_call_without_a_right_one(
    session: GuardedSession, version: ssl.TLSVersion
) -> None:
    party = Party(version, ssl.CERT_REQUIRED)
    stranger = party.certificate("stranger.test", trustme.CA())
    with Server(_tells_who, tls=party.context).running() as server:
        assert _call(session, server, TlsIdentity(party.certificate("a.test"), party.ca)).ok
        for identity in (TlsIdentity(ca=party.ca), TlsIdentity(stranger, party.ca)):
            outcome = _call(session, server, identity)
            # With TLS 1.3 the client's handshake is done before the service looks at its certificate.
            assert outcome.error_class in {E.TLS, E.RESET, E.PROTOCOL}
            assert (outcome.error_class is E.TLS) >= (version is ssl.TLSVersion.TLSv1_2)
    assert len(server.requests) == 1


def test_a_private_authority_counts_for_its_own_integration_alone(
    session: GuardedSession, version: ssl.TLSVersion
) -> None:
    party = Party(version, ssl.CERT_NONE)
    with Server(_tells_who, tls=party.context).running() as server:
        verdicts = [
            _call(session, server, identity).error_class
            for identity in (
                TlsIdentity(ca=party.ca),
                None,
                TlsIdentity(),
                TlsIdentity(ca=trustme.CA().cert_pem.bytes()),
                TlsIdentity(ca=party.ca),
            )
        ]
    assert verdicts == [None, E.TLS, E.TLS, E.TLS, None]


def test_an_identity_does_not_loosen_the_check_of_the_name(
    session: GuardedSession, version: ssl.TLSVersion
) -> None:
    party = Party(version, ssl.CERT_NONE)
    with Server(_tells_who, tls=party.context).running() as server:
        url = server.url.replace("127.0.0.1", "localhost")
        outcome = session.call("GET", url, identity=TlsIdentity(ca=party.ca))
    assert outcome.error_class is E.TLS
    assert "hostname mismatch" in outcome.message


def test_a_stored_pair_that_does_not_fit_is_a_fault_of_ours_and_shows_no_key(session: GuardedSession) -> None:
    party = Party(ssl.TLSVersion.TLSv1_3, ssl.CERT_OPTIONAL)
    alice, bob = party.certificate("alice.test"), party.certificate("bob.test")
    broken = TlsIdentity(ClientCertificate(alice.chain, bob.key), party.ca)
    with Server(_tells_who, tls=party.context).running() as server:
        outcome = _call(session, server, broken)
        assert server.connections == 0
    assert outcome.error_class is E.INTERNAL
    assert "stored client certificate" in outcome.message
    assert "PRIVATE" not in outcome.message
