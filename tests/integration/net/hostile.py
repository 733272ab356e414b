"""Servers that misbehave on purpose, written with plain sockets, on loopback only."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hub.core.secret import Secret

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass
class Server:
    """One listening server; `behave` runs in a thread of its own for every connection."""

    behave: Callable[[Server, socket.socket], None]
    tls: ssl.SSLContext | None = None
    backlog: int = 200
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    peer_closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=self.backlog)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook?token=canary-query"

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        accepting = threading.Thread(target=self._accept, daemon=True)
        accepting.start()
        try:
            yield self
        finally:
            self.stopping.set()
            # Closing a listener does not wake a thread inside accept(); a last connection does.
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            accepting.join(5)
            self._listener.close()
            for sock in list(self._open):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            for thread in self._threads:
                thread.join(5)

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self.stopping.is_set():
                sock.close()
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        self._open.add(sock)
        try:
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                if self.tls is not None:
                    self._open.discard(sock)
                    sock = stack.enter_context(self.tls.wrap_socket(sock, server_side=True))
                    self._open.add(sock)
                self.behave(self, sock)
        finally:
            self._open.discard(sock)
            sock.close()

    def read_request(self, sock: socket.socket) -> bytes:
        """One request with its body; b"" when the client closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = sock.recv(65536)
            if not part:
                self.peer_closed.set()
                return b""
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(body) < length:
            body += sock.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]


Behaviour = Callable[[Server, socket.socket], None]


def answers(*replies: bytes, close: bool = False) -> Behaviour:
    """Each request gets the next reply; the last one again and again. `close` ends the connection after each."""

    def behave(server: Server, sock: socket.socket) -> None:
        while server.read_request(sock):
            sock.sendall(replies[min(len(server.requests), len(replies)) - 1])
            if close:
                return

    return behave


def drips(start: bytes, repeated: bytes, every: float = 0.05) -> Behaviour:
    """After the request: `start`, then `repeated` for ever, so that no single read is ever late."""

    def behave(server: Server, sock: socket.socket) -> None:
        server.read_request(sock)
        sock.sendall(start)
        while not server.stopping.wait(every):
            sock.sendall(repeated)

    return behave


def floods(start: bytes, repeated: bytes) -> Behaviour:
    """After the request: `start`, then `repeated` as fast as the other side takes it."""

    def behave(server: Server, sock: socket.socket) -> None:
        server.read_request(sock)
        sock.sendall(start)
        while not server.stopping.is_set():
            sock.sendall(repeated)

    return behave


def resets(start: bytes) -> Behaviour:
    """After the request: `start`, then RST."""

    def behave(server: Server, sock: socket.socket) -> None:
        server.read_request(sock)
        if start:
            sock.sendall(start)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    return behave


def silent(server: Server, sock: socket.socket) -> None:
    """Take the connection and never read or write."""
    server.stopping.wait()


def free_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _made(
    key: ec.EllipticCurvePrivateKey,
    name: str,
    alternative: x509.GeneralName | None,
    days: tuple[int, int] = (-2, 1),
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if alternative is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
    return builder.sign(key, hashes.SHA256())


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def client_identity(name: str) -> tuple[str, Secret]:
    """A self-made client certificate and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = _made(key, name, None).public_bytes(serialization.Encoding.PEM)
    return pem.decode(), Secret(_key_pem(key).decode())


def certificate(
    folder: Path, *, name: str = "", ip: str = "127.0.0.1", expired: bool = False
) -> tuple[ssl.SSLContext, str]:
    """A self-made certificate: the server's context, and the file that a client would have to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    alternative: x509.GeneralName = x509.DNSName(name) if name else x509.IPAddress(ipaddress.ip_address(ip))
    made = _made(key, "hub test", alternative, (-3, -1) if expired else (-2, 1))
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(_key_pem(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    return context, str(cert_file)
