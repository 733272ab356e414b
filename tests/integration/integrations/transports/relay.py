"""A TCP port of loopback before a real service: it counts, records, breaks, holds back, gives TLS, and does harm.

So a real service hangs or resets at a chosen moment, for every protocol over TCP, and one that was built without TLS
has it. Servers that misbehave from the start are in `tests.integration.net.hostile`.
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Literal, TypeVar

from tests.integration.net.hostile import RESET_ON_CLOSE
from tests.support.waiting import until

Action = Literal["pass", "hang", "drip", "reset", "close", "garbage"]
Connect = Callable[[], socket.socket]
Sock = TypeVar("Sock", bound=socket.socket)

GARBAGE = random.Random(7).randbytes(4096)
_STEP = 16_384


class Relay:
    """Passes bytes between its clients and a service, until so many bytes of an answer have passed.

    Args:
        service: its port on loopback, or what makes a connection to it.
        action: what happens then, on that connection: `hang` says nothing more; `drip` passes one byte a second;
            `reset` and `close` end the connection; `garbage` sends 4 KiB of it and closes.
        after: bytes from the service that pass before.
        context: speaks TLS with the clients.
        before_tls: what is said in the clear before the handshake; returns False to go on without TLS.

    Attributes:
        connections: how many there were.
        answered: bytes that passed to the client, for each connection.
        reached: set when the first connection comes to harm.
        sent: every byte that clients sent, after TLS.
        held: set it, and what the service says is not passed on any more.
    """

    def __init__(
        self,
        service: int | Connect,
        action: Action = "pass",
        after: int = 0,
        *,
        context: ssl.SSLContext | None = None,
        before_tls: Callable[[socket.socket, socket.socket], bool] | None = None,
    ) -> None:
        self._service = service
        self._action = action
        self._after = after
        self._context = context
        self._before_tls = before_tls
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.answered: list[int] = []
        self.reached = threading.Event()
        self.sent = bytearray()
        self.held = threading.Event()

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
            _shut(sock, socket.SHUT_RDWR)

    def reset(self) -> None:
        """Break all connections that are open now."""
        broken = list(self._open)
        for sock in broken:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            _shut(sock, socket.SHUT_RD)
        until(lambda: self._open.isdisjoint(broken), what="the end of the broken connections")

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

    def _start(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, name="relay", daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _serve(self, client: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            self._keep(stack, client)
            service = self._keep(stack, self._connected())
            if self._before_tls is None or self._before_tls(client, service):
                client = self._in_the_clear(stack, client)
            asking = self._start(self._pass, client, service)
            with contextlib.suppress(OSError):
                self._answer(service, client, number, asking)
            for sock in (service, client):
                # Only reading: a close that resets must not come after an end that was sent.
                _shut(sock, socket.SHUT_RD)
            asking.join(5)

    def _connected(self) -> socket.socket:
        if isinstance(self._service, int):
            return socket.create_connection(("127.0.0.1", self._service))
        return self._service()

    def _keep(self, stack: contextlib.ExitStack, sock: Sock) -> Sock:
        """Open until the end of the stack, and known as open until it is closed."""
        self._open.add(sock)
        stack.callback(self._open.discard, sock)
        stack.enter_context(sock)
        return sock

    def _in_the_clear(self, stack: contextlib.ExitStack, client: socket.socket) -> socket.socket:
        """The client without its TLS. One thread serves both ways: a TLS connection takes no two at once."""
        if self._context is None:
            return client
        secured = self._context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        self._keep(stack, secured).do_handshake()
        inner, outer = (stack.enter_context(end) for end in socket.socketpair())
        deciphering = self._start(_between, secured, outer)
        # What was written into the pipe is still to be sent.
        stack.callback(deciphering.join, 5)
        stack.callback(_shut, inner, socket.SHUT_RDWR)
        return inner

    def _pass(self, client: socket.socket, service: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := client.recv(_STEP):
                self.sent += data
                service.sendall(data)
            service.shutdown(socket.SHUT_WR)

    def _answer(
        self, service: socket.socket, client: socket.socket, number: int, asking: threading.Thread
    ) -> None:
        left = self._after
        while data := service.recv(_STEP):
            if self.held.is_set():
                self._hang(asking)
                return
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
            self._hang(asking)
        elif self._action == "drip":
            for byte in held:
                client.sendall(bytes([byte]))
                if self._stopping.wait(1.0):
                    return
        elif self._action == "garbage":
            client.sendall(GARBAGE)
        elif self._action == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def _hang(self, asking: threading.Thread) -> None:
        # The other thread ends when the client has closed.
        while asking.is_alive() and not self._stopping.wait(0.02):
            pass


def relaying(service: int | Connect, **options: Any) -> AbstractContextManager[Relay]:
    """A relay for the length of a block."""
    return Relay(service, **options).running()


def _shut(sock: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        # Of a TLS socket, too: its own would forget that it has TLS.
        socket.socket.shutdown(sock, how)


def _between(secured: ssl.SSLSocket, clear: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while True:
            ready = [secured] if secured.pending() else select.select([secured, clear], [], [])[0]
            for source in ready:
                data = source.recv(_STEP)
                if not data:
                    _shut(clear, socket.SHUT_RDWR)
                    return
                (clear if source is secured else secured).sendall(data)
