"""A TCP port of 127.0.0.1 before a real server: counts, holds back, breaks and adds TLS.

A test can so make a real peer hang or reset at a chosen moment, and give TLS to one that was built without it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Makes `close` send a reset.
_RESET = struct.pack("ii", 1, 0)


class Relay:
    """Forwards connections until it is closed.

    Args:
        connect: makes a connection to the real server.
        context: speaks TLS with the client.
        before_tls: what is said in the clear before the handshake; returns False to go on without TLS.
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        context: ssl.SSLContext | None = None,
        before_tls: Callable[[socket.socket, socket.socket], bool] | None = None,
    ) -> None:
        self._connect = connect
        self._context = context
        self._before_tls = before_tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        #: Set: what the server says is not passed on any more.
        self.held = threading.Event()
        #: Every byte that clients sent, after TLS.
        self.sent = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        """Break every connection that is open."""
        with self._lock:
            broken, self._open = self._open, set()
        for sock in broken:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                socket.socket.shutdown(sock, socket.SHUT_RD)
                sock.close()

    def close(self) -> None:
        self._listener.close()
        self.reset()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = self._connect()
        except OSError:
            client.close()
            return
        with self._lock:
            self._open |= {client, server}
        try:
            secure = self._before_tls(client, server) if self._before_tls else True
            if self._context is not None and secure:
                plain, client = client, self._context.wrap_socket(client, server_side=True)
                with self._lock:
                    self._open.discard(plain)
                    self._open.add(client)
            self._forward(client, server)
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open -= {client, server}
            for sock in (client, server):
                with contextlib.suppress(OSError):
                    sock.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            pending = isinstance(client, ssl.SSLSocket) and client.pending()
            ready: list[Any] = [client] if pending else select.select([client, server], [], [], 0.2)[0]
            for source in ready:
                if source is server and self.held.is_set():
                    select.select([client], [], [], 0.05)
                    continue
                data = source.recv(65_536)
                if not data:
                    return
                if source is client:
                    self.sent += data
                (server if source is client else client).sendall(data)


@contextmanager
def relaying(connect: Callable[[], socket.socket], **options: Any) -> Iterator[Relay]:
    """A relay for the length of a block."""
    relay = Relay(connect, **options)
    try:
        yield relay
    finally:
        relay.close()
