"""An example of a transport in a package of its own: copy it, and put your protocol in place of this one.

The protocol, which stock-keeping machines might speak over TCP or TLS, one connection for each call:

    HELLO token             who calls; without a token `HELLO`
    COUNT {"part": "p-1"}   a command and its arguments, a JSON object on one line

    OK 12                   the answer to each of the two lines: so many bytes of JSON follow (none after HELLO)
    NO                      in place of it: the token is wrong
    BUSY                    or: not now; nothing was done
    ERR 42 no such part     or: an error of the machine's own

`hub.integrations.transports.interface` says what is promised. Which of it is kept where:
- what is wrong is found when an integration is saved (forms and faults), or before anything leaves (`prepare`);
- `concluded` makes one outcome of whatever ends a call, so `send` does not raise for what the outside does;
- `Way.dial` opens the connection: it goes where the address policy lets it, and the deadline and the cancellation of
  the call end every read and write, also those of a library that is given the socket;
- an answer is read up to `caps.max_bytes`, and nothing is read that has no bound.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from pydantic import Field

from hub.core.errors import FieldError, Invalid
from hub.integrations.operation import OperationForm
from hub.integrations.transports.dialled import Verdict, Way, concluded, tls_for, too_large
from hub.integrations.transports.interface import CustomSettings, Prepared, Transport
from hub.net import url as urls
from hub.net.outcome import ErrorClass
from hub.net.sockets import Deadline
from hub.net.trace import Phase, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

_LONGEST_LINE = 1024
_LONGEST_REQUEST = 65_536


class StockSettings(CustomSettings):
    """`settings` of an integration. The field `transport`, which names this one, is inherited."""

    shelf: str | None = Field(
        default=None, pattern=r"^[a-z0-9-]{1,32}$", description="Sent with every command, as `shelf`."
    )


class StockOperation(OperationForm):
    """One of an integration's `operations`. What all operations have (schema, steps, timeout …) is inherited."""

    command: str = Field(pattern=r"^[A-Z]{2,16}$", description="Such as COUNT.")


class StockTransport(Transport):
    """Stock-keeping machines. Has no state, so one object serves any number of threads."""

    name = "stock"
    schemes: ClassVar[Mapping[str, int]] = {"stock": 7070, "stocks": 7071}
    auth_modes: ClassVar[frozenset[str]] = frozenset({"none", "bearer"})
    settings_form = StockSettings
    operation_form = StockOperation

    #: Commands that change nothing: their answers may be cached, and they may be repeated after any failure.
    _READS = frozenset({"COUNT", "LIST", "PING"})

    def operation_faults(self, operation: StockOperation, settings: Any, at: str) -> list[FieldError]:
        """What the form cannot say: told when an integration is saved, with the path of the field."""
        del settings
        if operation.safe and operation.command not in self._READS:
            return [FieldError(f"{at}.safe", f"only {', '.join(sorted(self._READS))} change nothing")]
        return []

    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        """Make the request's line. Pure: it is called for dry runs and when an execution is accepted, too."""
        form: StockOperation | None = connection.operations.get(operation)
        if form is None:
            raise _invalid("operation", "this integration has no such operation")
        if not isinstance(given, dict):
            raise _invalid(field, "must be an object: the arguments of the command")
        arguments = (
            given if connection.settings.shelf is None else {**given, "shelf": connection.settings.shelf}
        )
        wire = f"{form.command} {json.dumps(arguments)}\n".encode()
        if len(wire) > _LONGEST_REQUEST:
            raise _invalid(field, f"makes a line of more than {_LONGEST_REQUEST} bytes")
        safe = form.command in self._READS if form.safe is None else form.safe
        return Prepared(
            method=form.command,
            endpoint=connection.base_url,
            headers={},
            payload=arguments,
            safe=safe,
            idempotent=safe if form.idempotent is None else form.idempotent,
            wire=wire,
        )

    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        """Make the call. The secret is revealed here and nowhere before."""
        return self._call(session, connection, prepared.wire, credentials, caps)

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """For health checks: something that proves the service and the credentials and changes nothing."""
        return self._call(session, connection, b"PING {}\n", credentials, caps)

    def _call(
        self,
        session: GuardedSession,
        connection: Connection,
        line: bytes,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        target = urls.parse(connection.base_url, self.schemes)
        way = Way(
            policy=session.policy,
            host=target.host,
            port=target.port,
            usual_port=self.schemes[target.scheme],
            context=tls_for(session, connection.tls, "verify" if target.scheme == "stocks" else "disable"),
            deadline=Deadline(caps.timeout),
            cancellation=caps.cancellation,
            trace=Trace(),
        )
        token = credentials.secrets.get("token")
        hello = b"HELLO\n" if token is None else f"HELLO {token.reveal()}\n".encode()
        return concluded(lambda: _talk(way, hello + line, caps.max_bytes), way.trace, way.deadline, caps)


def _talk(way: Way, request: bytes, max_bytes: int) -> bytes:
    """Send, and read the answer: a JSON text, as `concluded` wants it.

    Raises:
        Verdict: the machine refuses, or its answer is wrong.
        OSError: the connection failed; `concluded` knows the class by how far `way.trace` had come.
    """
    with way.dial() as plain, plain if way.context is None else way.wrap_socket(plain) as sock:
        sock.sendall(request)
        way.trace.phase = Phase.WAIT
        with sock.makefile("rb") as answer:
            _read_head(answer)
            length = _read_head(answer)
            way.trace.phase = Phase.BODY
            if length > max_bytes:
                raise too_large(max_bytes)
            body: bytes = answer.read(length)
    if len(body) < length:
        raise ConnectionResetError
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        raise Verdict(ErrorClass.PROTOCOL, "The answer is no JSON.") from None
    return body


def _read_head(answer: BinaryIO) -> int:
    """The bytes that follow an OK; anything else is how the call ends."""
    line = answer.readline(_LONGEST_LINE)
    if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
        raise ConnectionResetError
    word, _, rest = line.strip().partition(b" ")
    if word == b"OK" and (rest == b"" or (rest.isdigit() and len(rest) <= 10)):
        return int(rest or b"0")
    if word == b"NO":
        raise Verdict(ErrorClass.UNAUTHORIZED, "The machine refused the token.")
    if word == b"BUSY":
        raise Verdict(ErrorClass.PROVIDER_BUSY, "The machine is busy.")
    if word == b"ERR":
        # The machine's own words are a detail, where echoes of secrets are masked, and no part of our sentence.
        said = rest.decode("utf-8", "replace")
        raise Verdict(
            ErrorClass.PROVIDER_ERROR, "The machine answered with an error.", details={"said": said}
        )
    raise Verdict(ErrorClass.PROTOCOL, "The answer is not that of a stock-keeping machine.")


def _invalid(path: str, message: str) -> Invalid:
    return Invalid(f"{path} {message}.", fields=(FieldError(path, message),))
