"""A server that talks only to those whose certificate it trusts."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme

from hub.core.secret import Secret
from hub.net.client_certificate import ClientCertificate
from hub.net.identity import TlsIdentity
from hub.net.session import GuardedSession
from tests.unit.integrations.auth.requests_in_hand import signer


class Handler(BaseHTTPRequestHandler):
    """Tells who the certificate names, and the header X-API-Key."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        shown: Any = self.connection.getpeercert()
        names = [value for kind, value in shown["subjectAltName"] if kind == "DNS"]
        body = json.dumps({"who": names, "key": self.headers.get("X-API-Key")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Quiet: refused handshakes are what these tests are about."""


@dataclass
class Party:
    """The server's address, its authority, and the one whose certificates it trusts."""

    url: str
    ca: bytes
    trusted: trustme.CA

    def identity(self, authority: trustme.CA | None) -> TlsIdentity:
        if authority is None:
            return TlsIdentity(ca=self.ca)
        made = authority.issue_cert("hub.example.com")
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems).decode()
        key = Secret(made.private_key_pem.bytes().decode())
        return TlsIdentity(ClientCertificate.parse(chain, key, now=dt.datetime.now(dt.UTC)), self.ca)


@pytest.fixture
def party() -> Iterator[Party]:
    authority, trusted = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Party(f"https://127.0.0.1:{server.server_address[1]}/", authority.cert_pem.bytes(), trusted)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_the_certificate_alone_proves_who_calls(session: GuardedSession, party: Party) -> None:
    outcome = session.call("GET", party.url, identity=party.identity(party.trusted))
    assert json.loads(outcome.body) == {"who": ["hub.example.com"], "key": None}


@pytest.mark.parametrize("authority", ["none", "another"])
def test_nobody_else_is_let_in(session: GuardedSession, party: Party, authority: str) -> None:
    outcome = session.call(
        "GET", party.url, identity=party.identity(trustme.CA() if authority == "another" else None)
    )
    assert outcome.status is None
    assert not outcome.ok


def test_a_certificate_goes_with_any_other_mode(session: GuardedSession, party: Party) -> None:
    sign = signer({"mode": "api_key", "key": "k3y"})
    outcome = session.call("GET", party.url, auth=sign, identity=party.identity(party.trusted))
    assert json.loads(outcome.body) == {"who": ["hub.example.com"], "key": "k3y"}
