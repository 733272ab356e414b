"""WebSocket services for tests: a real one (`websockets`), and raw sockets that say what a test tells them to."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

if TYPE_CHECKING:
    import ssl

TOKEN = "canary-token-4711"


@dataclass
class Peer:
    """A running service.

    Attributes:
        port: on 127.0.0.1.
        requests: handshakes that came: path and headers.
        received: messages that came.
        closed: with which codes sessions ended.
        open_sessions: how many there are now.
    """

    port: int = 0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    received: list[str | bytes] = field(default_factory=list)
    closed: list[int | None] = field(default_factory=list)
    open_sessions: int = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


def _echo(peer: Peer, connection: ServerConnection) -> None:
    for message in connection:
        peer.received.append(message)
        connection.send(message)


def _conform(peer: Peer, connection: ServerConnection) -> None:
    for message in connection:
        connection.send("z" * 4_000_001 if message == "large" else message)


def _sink(peer: Peer, connection: ServerConnection) -> None:
    for message in connection:
        peer.received.append(message)


def _ticker(peer: Peer, connection: ServerConnection) -> None:
    """Counts for ever, as a market feed does, with a heartbeat between."""
    number = 0
    while True:
        connection.send(json.dumps({"type": "tick", "n": number}))
        connection.send(json.dumps({"type": "heartbeat"}))
        number += 1


def _three(peer: Peer, connection: ServerConnection) -> None:
    for number in range(3):
        connection.send(json.dumps({"type": "row", "n": number}))
    connection.send(json.dumps({"type": "end"}))
    connection.close(1000, "that is all")


def _login(peer: Peer, connection: ServerConnection) -> None:
    connection.send(json.dumps({"event": "hello"}))
    given = json.loads(connection.recv())
    peer.received.append(json.dumps(given))
    if given != {"op": "auth", "args": [TOKEN]}:
        connection.send(json.dumps({"event": "auth", "ok": False, "echo": given}))
        connection.close(4401, "who are you")
        return
    connection.send(json.dumps({"event": "auth", "ok": True}))
    for message in connection:
        connection.send(json.dumps({"reply": json.loads(message)}))


def _pinged(peer: Peer, connection: ServerConnection) -> None:
    """Says after a moment whether the client answered its ping."""
    answered = connection.ping("are you there").wait(5)
    connection.send(json.dumps({"answered": answered}))


def _big(peer: Peer, connection: ServerConnection) -> None:
    connection.send("x" * 3_000_000)


def _many(peer: Peer, connection: ServerConnection) -> None:
    while True:
        connection.send("y" * 1000)


def _close(peer: Peer, connection: ServerConnection) -> None:
    code = int(connection.request.path.rpartition("=")[2]) if connection.request else 1000
    connection.recv()
    connection.close(code, "for a reason")


def _binary(peer: Peer, connection: ServerConnection) -> None:
    connection.send(b"\x00\xff")
    connection.send("not json {")
    connection.send('{"n": 1e999}')
    connection.send("[" * 100_000)


def _silent(peer: Peer, connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        connection.recv()


_HANDLERS: dict[str, Callable[[Peer, ServerConnection], None]] = {
    "/echo": _echo,
    "/conform": _conform,
    "/sink": _sink,
    "/ticker": _ticker,
    "/three": _three,
    "/login": _login,
    "/pinged": _pinged,
    "/big": _big,
    "/many": _many,
    "/close": _close,
    "/binary": _binary,
    "/silent": _silent,
}


@contextlib.contextmanager
def serving(*, context: ssl.SSLContext | None = None, compression: str | None = "deflate") -> Iterator[Peer]:
    """Run the real service.

    Args:
        context: for wss.
        compression: what it agrees to.
    """
    peer = Peer()
    lock = threading.Lock()

    def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        with lock:
            peer.open_sessions += 1
        try:
            _HANDLERS[connection.request.path.partition("?")[0]](peer, connection)
        except ConnectionClosed:
            pass
        finally:
            connection.close()
            with lock:
                peer.closed.append(connection.close_code)
                peer.open_sessions -= 1

    def judge(connection: ServerConnection, request: Request) -> Response | None:
        peer.requests.append((request.path, {k.lower(): v for k, v in request.headers.raw_items()}))
        path, _, query = request.path.partition("?")
        if path in {"/bearer", "/conform"} and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return connection.respond(HTTPStatus.UNAUTHORIZED, "no such token: " + path)
        if path == "/status":
            code = int(query.rstrip("="))
            headers = Headers({"Location": "/echo", "Retry-After": "7", "Content-Length": "4"})
            return Response(code, "As asked", headers, b"body")
        if path == "/bearer":
            request.path = "/echo"
        return None

    server = serve(
        handle,
        "127.0.0.1",
        0,
        ssl=context,
        compression=compression,
        process_request=judge,
        select_subprotocol=lambda _, offered: next((name for name in offered if name == "v1.test"), None),
        max_size=None,
        ping_interval=None,
    )
    peer.port = server.socket.getsockname()[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        thread.join(10)


@contextlib.contextmanager
def raw(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server whose every connection is handed to `behave`; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.append(connection)
                threading.Thread(target=run, args=(connection,), daemon=True).start()

        def run(connection: socket.socket) -> None:
            with contextlib.suppress(OSError):
                behave(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in connections:
                connection.close()
