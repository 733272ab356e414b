"""A relay in front of a real service, which lets its answer come to harm: works for every protocol over TCP.

Servers that misbehave from the start are in `tests.integration.net.hostile`.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from typing import Literal

from tests.integration.net.hostile import RESET_ON_CLOSE

Action = Literal["pass", "hang", "drip", "reset", "close", "garbage"]

GARBAGE = random.Random(7).randbytes(4096)
_STEP = 16_384


class Relay:
    """Passes bytes between its clients and a service, until so many bytes of an answer have passed.

    Args:
        upstream: the service's port on loopback.
        action: what happens then, on that connection: `hang` says nothing more; `drip` passes one byte a second;
            `reset` and `close` end the connection; `garbage` sends 4 KiB of it and closes.
        after: bytes from the service that pass before.

    Attributes:
        connections: how many there were.
        answered: bytes that passed to the client, for each connection.
        reached: set when the first connection comes to harm.
    """

    def __init__(self, upstream: int, action: Action = "pass", after: int = 0) -> None:
        self._upstream = upstream
        self._action = action
        self._after = after
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.answered: list[int] = []
        self.reached = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[Relay]:
        accepting = threading.Thread(target=self._accept, name="relay", daemon=True)
        accepting.start()
        try:
            yield self
        finally:
            self._stopping.set()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            accepting.join(5)
            self._listener.close()
            self.drop()
            for thread in self._threads:
                thread.join(5)

    def drop(self) -> None:
        """End all connections that are open now, as an idle service does."""
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._stopping.is_set():
                client.close()
                return
            # A client that stops reading must be felt soon.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
            self.connections += 1
            self.answered.append(0)
            self._start(self._serve, client, self.connections - 1)

    def _start(self, target: object, *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, name="relay", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
        return thread

    def _serve(self, client: socket.socket, number: int) -> None:
        with client, socket.create_connection(("127.0.0.1", self._upstream)) as service:
            self._open |= {client, service}
            asking = self._start(_pass, client, service)
            try:
                with contextlib.suppress(OSError):
                    self._answer(service, client, number, asking)
                for sock in (service, client):
                    # Only reading: a close that resets must not come after an end that was sent.
                    with contextlib.suppress(OSError):
                        sock.shutdown(socket.SHUT_RD)
                asking.join(5)
            finally:
                self._open -= {client, service}

    def _answer(
        self, service: socket.socket, client: socket.socket, number: int, asking: threading.Thread
    ) -> None:
        left = self._after
        while data := service.recv(_STEP):
            if self._action != "pass" and len(data) > left:
                client.sendall(data[:left])
                self.answered[number] += left
                self.reached.set()
                self._harm(client, data[left:], asking)
                return
            client.sendall(data)
            self.answered[number] += len(data)
            left -= len(data)

    def _harm(self, client: socket.socket, held: bytes, asking: threading.Thread) -> None:
        if self._action == "hang":
            # The other thread ends when the client has closed.
            while asking.is_alive() and not self._stopping.wait(0.02):
                pass
        elif self._action == "drip":
            for byte in held:
                client.sendall(bytes([byte]))
                if self._stopping.wait(1.0):
                    return
        elif self._action == "garbage":
            client.sendall(GARBAGE)
        elif self._action == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def _pass(client: socket.socket, service: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := client.recv(_STEP):
            service.sendall(data)
        service.shutdown(socket.SHUT_WR)
