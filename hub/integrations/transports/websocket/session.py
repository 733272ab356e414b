"""One call: dial, handshake, login, messages, collection, close; whatever happens becomes one outcome."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus
from websockets.uri import WebSocketURI

from hub.integrations.transports.trace_context import TraceAlone
from hub.integrations.transports.websocket.collecting import Collection, FullError
from hub.integrations.transports.websocket.conversation import Closed, Conversation, Offer, OverCapError
from hub.integrations.transports.websocket.forms import PORTS
from hub.integrations.transports.websocket.login import NotKnownError, filled
from hub.integrations.transports.websocket.messages import from_wire, to_wire
from hub.integrations.transports.websocket.verdicts import LoginRefusedError, of_close, of_fault
from hub.net.cancellation import Cancelled
from hub.net.dial import dial, secure
from hub.net.outcome import ErrorClass, Outcome, collect_headers, safe_text
from hub.net.policy import EgressRefused
from hub.net.session import USER_AGENT
from hub.net.signed import NotSignedError, signed
from hub.net.sockets import Deadline
from hub.net.trace import Phase, Trace
from hub.transforms.filters import compile_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.interface import Caps, Connection, Prepared
    from hub.integrations.transports.websocket.forms import Collect, Login, WebsocketSettings
    from hub.net.session import GuardedSession

#: How long the service may take to confirm the close of a session that has what it came for.
CLOSE_SECONDS = 2.0
_HTTP = {"ws": "http", "wss": "https"}
_HEADERS = {"User-Agent": USER_AGENT}
# Of the handshake's answer: they describe the connection or its own body, not the result.
_DROPPED = (
    "connection",
    "upgrade",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "content-length",
    "transfer-encoding",
)
# Ends that have their own cause, also when the time is over by now.
_OWN_ENDS = (
    EgressRefused,
    NotSignedError,
    NotKnownError,
    LoginRefusedError,
    OverCapError,
    FullError,
    InvalidStatus,
)


class Session:
    """One session, from the name to the close.

    Args:
        way_out: judges addresses and has the TLS contexts.
        connection: where to.
        prepared: the address and headers.
        credentials: for the handshake or the login message.
        caps: bounds.
    """

    def __init__(
        self,
        way_out: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> None:
        self._way_out = way_out
        self._connection = connection
        self._settings: WebsocketSettings = connection.settings
        self._prepared = prepared
        self._credentials = credentials
        self._caps = caps
        self._deadline = Deadline(caps.timeout)
        self._trace = Trace()
        self._headers: dict[str, str] = {}

    def run(self, messages: Sequence[str | bytes], collect: Collect) -> Outcome:
        """Hold the session; never raises for what the outside does.

        Args:
            messages: to send after the login.
            collect: what to wait for.
        """
        begun = time.perf_counter()
        collection = Collection(collect, self._caps.max_bytes)
        try:
            outcome = self._run(messages, collect, collection)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the end of this call alone
            outcome = self._failure(error, collection)
        outcome.timings.total_ms = (time.perf_counter() - begun) * 1000
        return outcome

    def _run(self, messages: Sequence[str | bytes], collect: Collect, collection: Collection) -> Outcome:
        offer, host, port = self._offer()
        sock = dial(
            self._way_out.policy,
            host,
            port,
            deadline=self._deadline,
            usual_ports=PORTS.values(),
            cancellation=self._caps.cancellation,
            trace=self._trace,
        )
        try:
            if offer.uri.secure:
                context = self._way_out.context_of(self._connection.tls)
                sock = secure(sock, host, context=context, deadline=self._deadline, trace=self._trace)
            conversation = Conversation(
                sock,
                offer,
                self._deadline,
                max_bytes=self._caps.max_bytes,
                max_message_bytes=min(
                    self._settings.max_message_bytes or self._caps.max_bytes, self._caps.max_bytes
                ),
                ping_seconds=self._settings.ping_seconds,
            )
            closed = self._talk(conversation, messages, collect, collection)
            if closed is not None:
                verdict = of_close(
                    closed, self._settings.close_codes, expected=collect.close, begun=collection.begun
                )
                return self._outcome(*verdict, collection, closed)
            conversation.close(CLOSE_SECONDS)
            return self._outcome(None, "", collection, None)
        finally:
            sock.close()

    def _offer(self) -> tuple[Offer, str, int]:
        """The handshake with its credentials, and where it goes."""
        scheme, _, rest = self._prepared.endpoint.partition("://")
        login = self._settings.login
        http = self._credentials.http
        auth = http if login is None or login.also_in_handshake else TraceAlone(http)
        request = signed("GET", f"{_HTTP[scheme]}://{rest}", {**_HEADERS, **self._prepared.headers}, auth)
        parts = urlsplit(request.url)
        host, port = parts.hostname or "", parts.port or PORTS[scheme]
        uri = WebSocketURI(scheme == "wss", host, port, parts.path, parts.query)
        offer = Offer(
            uri,
            request.headers,
            self._settings.origin,
            self._settings.subprotocols,
            self._settings.compression,
        )
        return offer, host, port

    def _talk(
        self,
        conversation: Conversation,
        messages: Sequence[str | bytes],
        collect: Collect,
        collection: Collection,
    ) -> Closed | None:
        """Everything on the open connection.

        Returns:
            How the service closed the session; None when we are to close it.
        """
        begun = time.perf_counter()
        self._trace.phase = Phase.SEND
        try:
            self._shake_hands(conversation, begun)
            if self._settings.login is not None:
                self._log_in(conversation, self._settings.login)
            for message in messages:
                conversation.send(message)
            self._trace.phase = Phase.BODY
            end = float("inf") if collect.seconds is None else time.monotonic() + collect.seconds
            while not collection.complete:
                message_or_none = conversation.receive(end)
                if message_or_none is None:
                    break
                collection.add(message_or_none)
        except Closed as closed:
            return closed
        return None

    def _shake_hands(self, conversation: Conversation, begun: float) -> None:
        try:
            self._trace.phase = Phase.WAIT
            conversation.handshake()
        finally:
            response = conversation.response
            if response is not None:
                self._trace.timings.first_byte_ms = (time.perf_counter() - begun) * 1000
                self._headers = collect_headers(response.headers.raw_items())
                for name in _DROPPED:
                    self._headers.pop(name, None)

    def _log_in(self, conversation: Conversation, login: Login) -> None:
        conversation.send(to_wire(filled(login.message, self._credentials)))
        if login.accepted is None:
            return
        accepted = compile_filter(login.accepted)
        refused = None if login.refused is None else compile_filter(login.refused)
        while True:
            data = conversation.receive(float("inf"))
            assert data is not None
            value = from_wire(data)[0]
            if refused is not None and refused.matches(value):
                raise LoginRefusedError
            if accepted.matches(value):
                return

    def _outcome(
        self,
        error_class: ErrorClass | None,
        message: str,
        collection: Collection,
        closed: Closed | None,
    ) -> Outcome:
        ending: dict[str, Any] = {"close_code": None, "close_reason": None}
        if closed is not None:
            ending = {"close_code": closed.code, "close_reason": safe_text(closed.reason)}
        return Outcome(
            None,
            error_class,
            message,
            headers={**self._headers, "content-type": "application/json"},
            body=collection.body(ending),
            truncated=error_class is ErrorClass.TOO_LARGE,
            timings=self._trace.timings,
            peer=self._trace.peer,
        )

    def _failure(self, error: Exception, collection: Collection) -> Outcome:
        if self._caps.cancellation.cancelled:
            error = Cancelled()
        elif self._deadline.over and not isinstance(error, _OWN_ENDS):
            error = TimeoutError()
        verdict = of_fault(error, self._trace.phase)
        if not isinstance(error, InvalidStatus):
            return self._outcome(*verdict, collection, None)
        body = bytes(error.response.body[: self._caps.max_bytes])
        return Outcome(
            error.response.status_code,
            *verdict,
            headers=self._headers,
            body=body,
            truncated=len(body) < len(error.response.body),
            timings=self._trace.timings,
            peer=self._trace.peer,
        )
