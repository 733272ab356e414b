"""One call of a gRPC service, from the name to the result; whatever happens becomes one outcome."""

from __future__ import annotations

import base64
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hub.integrations.transports.grpc_calls import health, reflection
from hub.integrations.transports.grpc_calls.calls import (
    CANCELLED,
    DEADLINE_EXCEEDED,
    Bounds,
    Pairs,
    Reply,
    Rpc,
    invoke,
)
from hub.integrations.transports.grpc_calls.fitting import fit
from hub.integrations.transports.grpc_calls.forms import MAX_DESCRIPTOR_BYTES, PORTS
from hub.integrations.transports.grpc_calls.messages import BadAnswerError, BombError, dumped, from_wire
from hub.integrations.transports.grpc_calls.opening import Place, open_channel
from hub.integrations.transports.grpc_calls.schema import BadSchemaError, Schema, from_text
from hub.integrations.transports.grpc_calls.verdicts import (
    UNAVAILABLE,
    UNIMPLEMENTED,
    error_of,
    headers_of,
    is_unconnected,
    of_reply,
)
from hub.integrations.transports.remembered import Remembered
from hub.net import faults
from hub.net.cancellation import Cancelled
from hub.net.outcome import ErrorClass, Outcome
from hub.net.policy import EgressRefused
from hub.net.signed import NotSignedError, signed
from hub.net.sockets import Deadline
from hub.net.trace import Phase, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.grpc_calls.channels import Channels, Opened
    from hub.integrations.transports.grpc_calls.forms import Collect, GrpcSettings
    from hub.integrations.transports.grpc_calls.schema import Method
    from hub.integrations.transports.grpc_calls.transport import Wire
    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.session import GuardedSession

# Types that a service told are asked for again after this time.
_TOLD_SECONDS = 300
_told: Remembered[Schema] = Remembered(64 * 1024 * 1024)
# After these the connection may be of no use, and gRPC would try for ever to make a better one.
_GIVEN_UP = frozenset({CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE})
# Written by the HTTP side of a request; gRPC writes its own.
_DROPPED = frozenset({"host", "content-length", "content-type", "connection", "user-agent", "accept", "te"})


class _FailedError(Exception):
    """A call that had to be made before the real one ended with an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.name)
        self.reply = reply


class Session:
    """The calls of one execution.

    Args:
        channels: open ones.
        way_out: judges addresses, and knows the usual authorities.
        connection: where to.
        credentials: become metadata.
        caps: bounds of everything together.
        repeatable: the method may be called twice without harm, as questions of ours may.
    """

    def __init__(
        self,
        channels: Channels,
        way_out: GuardedSession,
        connection: Connection,
        credentials: Credentials,
        caps: Caps,
        *,
        repeatable: bool = False,
    ) -> None:
        self._repeatable = repeatable
        self._begun = time.monotonic()
        self._channels = channels
        self._way_out = way_out
        self._connection = connection
        self._settings: GrpcSettings = connection.settings
        self._credentials = credentials
        self._caps = caps
        self._deadline = Deadline(caps.timeout)
        self._trace = Trace()
        self._place = Place.of(connection.base_url, self._settings.authority)
        self._max_message_bytes = min(self._settings.max_message_bytes or caps.max_bytes, caps.max_bytes)

    def call(self, wire: Wire) -> Outcome:
        """Call a method; never raises for what the outside does."""
        return self._guarded(lambda: self._call(wire))

    def probe(self) -> Outcome:
        """Prove that the service is there."""
        return self._guarded(self._probe)

    def _guarded(self, run: Callable[[], Outcome]) -> Outcome:
        begun = time.perf_counter()
        try:
            outcome = run()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the end of this call alone
            outcome = self._failure(error)
        outcome.timings, outcome.peer = self._trace.timings, self._trace.peer
        outcome.timings.total_ms = (time.perf_counter() - begun) * 1000
        return outcome

    def _call(self, wire: Wire) -> Outcome:
        types = self._types(wire.operation.method.partition("/")[0])
        fitted = fit(types, wire)
        method = fitted.method
        rpc = Rpc(
            method.path,
            fitted.messages,
            method.client_streaming,
            method.server_streaming,
            self._metadata(method.path, wire.metadata),
        )
        reply = self._invoke(rpc, wire.operation.collect, repeatable=self._repeatable)
        return self._outcome(reply, method, types)

    def _types(self, service: str) -> Schema:
        if self._settings.descriptor_set is not None:
            return from_text(self._settings.descriptor_set)

        def make() -> tuple[Schema, int]:
            made = Schema(reflection.files_of(service, self._ask))
            return made, made.weight

        age = int(time.monotonic() / _TOLD_SECONDS)
        key = (self._connection.pool_key, service, age)
        self._trace.phase = Phase.WAIT
        return _told.get(key, make, wait=self._deadline.remaining())

    def _ask(self, requests: Sequence[bytes]) -> Iterable[bytes]:
        """Requests to the reflection service, in the version that it speaks."""
        reply = Reply()
        for path in reflection.PATHS:
            rpc = Rpc(path, requests, True, True, self._metadata(path, {}))
            reply = self._invoke(rpc, max_bytes=MAX_DESCRIPTOR_BYTES)
            if reply.code != UNIMPLEMENTED:
                break
        if of_reply(reply)[0] is not None:
            raise _FailedError(reply)
        return reply.messages

    def _probe(self) -> Outcome:
        if self._settings.health is not None:
            question = health.request(self._settings.health)
            reply = self._invoke(Rpc(health.PATH, (question,), False, False, self._metadata(health.PATH, {})))
            verdict = of_reply(reply)
            if verdict[0] is None:
                verdict = health.verdict(reply.messages[0])
            return Outcome(None, *verdict, headers=headers_of(reply))
        if self._settings.reflection:
            names = [name for raw in self._ask((reflection.listing(),)) for name in reflection.listed(raw)]
            return self._with_body({"services": names}, {"content-type": "application/json"})
        # No service has this method, and every one says so; what is no gRPC says it by an HTTP status.
        path = "/hub.probe.v1.Probe/Probe"
        reply = self._invoke(Rpc(path, (b"",), False, False, self._metadata(path, {})))
        reached = reply.code == UNIMPLEMENTED and "http2 header" not in reply.details
        return Outcome(None, *((None, "") if reached else of_reply(reply)), headers=headers_of(reply))

    def _invoke(
        self,
        rpc: Rpc,
        collect: Collect | None = None,
        *,
        max_bytes: int | None = None,
        repeatable: bool = True,
    ) -> Reply:
        """Make a call; once more when a kept connection turns out to have ended, and a repeat does no harm."""
        kept, reply = self._invoke_once(rpc, collect, max_bytes)
        # Nobody knows whether the service closed an idle connection or broke off this very call.
        if kept and repeatable and not reply.messages and of_reply(reply)[0] is ErrorClass.RESET:
            _, reply = self._invoke_once(rpc, collect, max_bytes)
        return reply

    def _invoke_once(self, rpc: Rpc, collect: Collect | None, max_bytes: int | None) -> tuple[bool, Reply]:
        """Make a call; was its channel there before, and what came."""
        max_message_bytes = max_bytes or self._max_message_bytes
        with self._channel(max_message_bytes) as (key, opened):
            self._trace.phase = Phase.WAIT
            bounds = Bounds(
                timeout=self._deadline.remaining(),
                max_message_bytes=max_message_bytes,
                max_bytes=max_bytes or self._caps.max_bytes,
                cancellation=self._caps.cancellation,
                count=None if collect is None else collect.count,
                seconds=None if collect is None else collect.seconds,
            )
            reply = invoke(opened.channel, rpc, bounds)
            reply.unconnected = is_unconnected(reply, opened.ips, self._place.port)
            if reply.code in _GIVEN_UP:
                self._channels.drop(key, opened)
            if self._caps.cancellation.cancelled:
                raise Cancelled
            return opened.made_at < self._begun, reply

    @contextmanager
    def _channel(self, max_message_bytes: int) -> Iterator[tuple[Hashable, Opened]]:
        """An open channel to a judged address."""
        place, identity = self._place, self._connection.tls

        def make() -> Opened:
            return open_channel(
                self._way_out,
                place,
                identity,
                max_message_bytes=max_message_bytes,
                deadline=self._deadline,
                cancellation=self._caps.cancellation,
                trace=self._trace,
            )

        # The usual context stands for the way out's own authorities; one of an identity may be made anew at any time.
        usual = self._way_out.context_of(None)
        key = (self._connection.pool_key, place, identity, usual, max_message_bytes)
        self._trace.phase = Phase.CONNECT
        with self._channels.use(key, make, self._deadline.remaining()) as opened:
            allows = self._way_out.policy.allows
            for ip in opened.ips:
                if not allows(ip, place.port, usual_ports=PORTS.values()):
                    self._channels.drop(key, opened)
                    raise EgressRefused(f"{place.host} leads to {ip}, which is not a public address.")
            # gRPC does not tell which of several it took.
            self._trace.peer = opened.ips[0] if len(opened.ips) == 1 else None
            yield key, opened

    def _metadata(self, path: str, given: Mapping[str, str]) -> Pairs:
        """Given metadata and credentials, as they travel."""
        binary = {key: value for key, value in given.items() if key.endswith("-bin")}
        texts = {key: value for key, value in given.items() if key not in binary}
        url = f"{'https' if self._place.secure else 'http'}://{self._place.authority}{path}"
        request = signed("POST", url, texts, self._credentials.http)
        if urlsplit(request.url).query:
            raise NotSignedError("These credentials travel in a query, which a gRPC call does not have.")
        pairs: list[tuple[str, str | bytes]] = [
            (name.lower(), value) for name, value in request.headers.items() if name.lower() not in _DROPPED
        ]
        return (*pairs, *((key, base64.b64decode(value)) for key, value in binary.items()))

    def _outcome(self, reply: Reply, method: Method, types: Schema) -> Outcome:
        error_class, message = of_reply(reply)
        shown = [
            from_wire(
                data,
                method.output_type,
                types,
                proto_names=self._settings.proto_field_names,
                defaults=self._settings.default_values,
            )
            for data in reply.messages
        ]
        body = shown[0] if shown and not method.server_streaming else {"messages": shown}
        if error_class is not None:
            body = {"error": error_of(reply, types.pool), **({"messages": shown} if shown else {})}
        outcome = self._with_body(body, headers_of(reply))
        if error_class is not None:
            outcome.error_class, outcome.message = error_class, message
            outcome.truncated = outcome.truncated or error_class is ErrorClass.TOO_LARGE
        return outcome

    def _with_body(self, value: Any, headers: dict[str, str]) -> Outcome:
        """A success, unless its JSON text is over the cap."""
        body = dumped(value)
        if len(body) <= self._caps.max_bytes:
            return Outcome(None, None, headers=headers, body=body)
        return Outcome(
            None,
            ErrorClass.TOO_LARGE,
            f"The answer is longer than {self._caps.max_bytes} bytes as JSON.",
            headers=headers,
            body=body[: self._caps.max_bytes],
            truncated=True,
        )

    def _failure(self, error: Exception) -> Outcome:  # noqa: PLR0911 - one line a case
        """The outcome of a call that ended by an exception."""
        if self._caps.cancellation.cancelled:
            return Outcome(None, *faults.CANCELLED)
        if isinstance(error, _FailedError):
            reply = error.reply
            if reply.code == UNIMPLEMENTED:
                text = "The service does not tell its types (no reflection); give a descriptor set."
                return Outcome(None, ErrorClass.PROVIDER_ERROR, text, headers=headers_of(reply))
            error_class, message = of_reply(reply)
            if error_class is ErrorClass.RESET:
                # Whatever became of the question, the call itself did not leave.
                error_class, message = ErrorClass.PROVIDER_BUSY, f"Nothing was sent: {message}"
            headers, body = headers_of(reply), dumped({"error": error_of(reply)})
            return Outcome(None, error_class, message, headers=headers, body=body)
        if isinstance(error, BombError):
            return Outcome(
                None, ErrorClass.TOO_LARGE, "The answer is longer than the call may receive.", truncated=True
            )
        if isinstance(error, BadAnswerError):
            return Outcome(None, ErrorClass.PROTOCOL, str(error))
        if isinstance(error, reflection.NotToldError):
            return Outcome(None, ErrorClass.PROVIDER_ERROR, str(error))
        if isinstance(error, BadSchemaError):
            return Outcome(None, ErrorClass.PROVIDER_ERROR, f"What the service tells of its types {error}.")
        if isinstance(error, NotSignedError):
            return Outcome(None, ErrorClass.INTERNAL, str(error))
        return faults.failure(error, self._trace, deadline=self._deadline)
