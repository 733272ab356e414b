"""The suite, on the two smallest transports that pass it: one by the session for HTTP, one by a dialled socket."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from requests.auth import HTTPBasicAuth

from hub.core.secret import Secret
from hub.integrations.auth.mode import Credentials
from hub.integrations.operation import OperationForm
from hub.integrations.transports.interface import Caps, Connection, Prepared, Transport
from hub.net import GuardedSession, faults
from hub.net import url as urls
from hub.net.dial import dial, secure
from hub.net.identity import context
from hub.net.outcome import ErrorClass, Outcome
from hub.net.sockets import Deadline
from hub.net.trace import Phase, Trace
from tests.integration.integrations.transports.conformance import LARGE_BYTES, Conformance
from tests.integration.net.hostile import Server

GOOD, BAD = "canary-good-password", "canary-bad-password"


class _OneOperation(Transport):
    auth_modes: ClassVar[frozenset[str]] = frozenset({"basic"})
    operation_form = OperationForm

    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        return Prepared("GET", f"{connection.base_url}/{given}", {}, None, True, True, given)

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        return self.send(session, connection, self.prepare(connection, "get", "small"), credentials, caps)


class HttpTransport(_OneOperation):
    name = "http"
    schemes: ClassVar = {"http": 80}

    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        return session.call(
            "GET",
            prepared.endpoint,
            auth=HTTPBasicAuth("me", credentials.secrets["password"].reveal()),
            timeout=caps.timeout,
            max_body=caps.max_bytes,
            pool_key=connection.pool_key,
            identity=connection.tls,
            cancellation=caps.cancellation,
        )


class _ProtocolError(Exception):
    """The answer is not a length and so many bytes."""


class LineTransport(_OneOperation):
    """`password what` in, `length` and so many bytes out."""

    name = "line"
    schemes: ClassVar = {"line": 7007, "lines": 7008}

    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        target = urls.parse(connection.base_url, self.schemes)
        deadline, trace = Deadline(caps.timeout), Trace()
        try:
            sock = dial(
                session.policy,
                target.host,
                target.port,
                deadline=deadline,
                usual_ports=self.schemes.values(),
                cancellation=caps.cancellation,
                trace=trace,
            )
            with sock:
                if target.scheme == "lines":
                    made = context(connection.tls, default_ca=None)
                    sock = secure(sock, target.host, context=made, deadline=deadline, trace=trace)
                with sock:
                    line = f"{credentials.secrets['password'].reveal()} {prepared.wire}\n"
                    sock.sendall(line.encode())
                    trace.phase = Phase.BODY
                    outcome = _answer(sock, caps.max_bytes)
        except _ProtocolError:
            outcome = Outcome(None, ErrorClass.PROTOCOL, "The answer is no line.")
        except Exception as error:  # noqa: BLE001 - a send never raises
            outcome = faults.failure(error, trace, deadline=deadline, cancellation=caps.cancellation)
        outcome.timings, outcome.peer = trace.timings, trace.peer
        outcome.timings.total_ms = deadline.spent * 1000
        return outcome


def _answer(sock: socket.socket, max_bytes: int) -> Outcome:
    file = sock.makefile("rb")
    head = file.readline(20)
    if head == b"no\n":
        return Outcome(None, ErrorClass.UNAUTHORIZED, "The service refused the password.")
    if not head.endswith(b"\n") and len(head) < 20:
        # Raised, so that a cancellation, which ends the connection too, is told from it.
        raise ConnectionResetError
    if not head.strip().isdigit():
        raise _ProtocolError
    body = file.read(min(int(head), max_bytes))
    if int(head) > max_bytes:
        return Outcome(
            None,
            ErrorClass.TOO_LARGE,
            f"The answer is longer than {max_bytes} bytes.",
            body=body,
            truncated=True,
        )
    if len(body) < int(head):
        raise ConnectionResetError
    return Outcome(None, None, body=body)


class _Suite(Conformance):
    operations: ClassVar = {"get": OperationForm()}
    small = ("get", "small")
    large = ("get", "large")
    good = Credentials("basic", secrets={"password": Secret(GOOD)})
    bad = Credentials("basic", secrets={"password": Secret(BAD)})


def _body(what: bytes) -> bytes:
    return b"x" * (LARGE_BYTES + 1) if b"large" in what else b"small"


class TestHttp(_Suite):
    transport = HttpTransport()
    scheme = "http"

    @pytest.fixture(scope="class")
    @classmethod
    def port(cls) -> Iterator[int]:
        allowed = base64.b64encode(f"me:{GOOD}".encode())

        def behave(server: Server, sock: socket.socket) -> None:
            while request := server.read_request(sock):
                body = _body(request.split(b" ")[1])
                status = b"200 OK" if allowed in request else b"401 No"
                sock.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)

        with Server(behave).running() as server:
            yield server.port


class TestLine(_Suite):
    transport = LineTransport()
    scheme = "line"

    @pytest.fixture(scope="class")
    @classmethod
    def port(cls) -> Iterator[int]:
        def behave(server: Server, sock: socket.socket) -> None:
            password, what = sock.makefile("rb").readline().split()
            body = _body(what)
            sock.sendall(b"%d\n" % len(body) + body if password == GOOD.encode() else b"no\n")

        with Server(behave).running() as server:
            yield server.port
