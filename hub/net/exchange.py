"""The requests of one guarded HTTP call, and what came of the newest one.

Promises: only judged addresses; every request inside the call's deadline and under its cancellation; at most so many
decoded bytes of an answer in memory; a connection is kept only when its answer was read to the end. Leaves to
others: what is asked, and what an answer means (`session`).
"""

from __future__ import annotations

import http.client
import io
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.exceptions import RequestException
from requests.structures import CaseInsensitiveDict

from hub.net import faults
from hub.net.cancellation import Cancelled
from hub.net.connection import Answer, Connection
from hub.net.decoding import decoder_for
from hub.net.outcome import ErrorClass, Outcome, Timings, collect_headers
from hub.net.policy import EgressRefused
from hub.net.trace import Phase

if TYPE_CHECKING:
    from collections.abc import Hashable

    from hub.net.cancellation import Cancellation
    from hub.net.decoding import Decoder
    from hub.net.identity import TlsIdentity
    from hub.net.session import GuardedSession
    from hub.net.sockets import Deadline

_READ_BYTES = 65_536


@dataclass(slots=True)
class Received:
    """What has come so far of the newest answer; kept when a fault ends the call."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    truncated: bool = False
    timings: Timings = field(default_factory=Timings)
    peer: str | None = None

    def outcome(self, error_class: ErrorClass | None, message: str, begun: float) -> Outcome:
        """With this verdict.

        Args:
            error_class: None for a success.
            message: the sentence that goes with it.
            begun: when the call began, by `time.perf_counter`.
        """
        self.timings.total_ms = (time.perf_counter() - begun) * 1000
        return Outcome(
            status=self.status,
            error_class=error_class,
            message=message,
            headers=self.headers,
            body=bytes(self.body),
            truncated=self.truncated,
            timings=self.timings,
            peer=self.peer,
        )


class Exchange(BaseAdapter):
    """The requests of one call, one after the other, as the adapter that authentication hooks know.

    Bodies are read inside the caps before a hook sees the response, so its `.content` and `.json()` are safe.
    """

    def __init__(
        self,
        session: GuardedSession,
        pool_key: Hashable,
        deadline: Deadline,
        max_body: int,
        identity: TlsIdentity | None = None,
        cancellation: Cancellation | None = None,
        *,
        decode: bool = True,
    ) -> None:
        self._session = session
        self._pool_key = pool_key
        self._deadline = deadline
        self._max_body = max_body
        self._identity = identity
        self._cancellation = cancellation
        self._decode = decode
        self.phase = Phase.DNS
        self.received = Received()
        self.taken = False
        """The request that was asked for is over: a redirect made another one of it."""

    def send(self, request: PreparedRequest, *_args: Any, **_options: Any) -> Response:
        """Make one request and read its answer; `requests`' options of its own have no effect."""
        reason = self.make(request)
        return self._response(request, self.received, reason)

    def make(self, request: PreparedRequest) -> str:
        """As `send`, for those who need nothing but `received`; the reason phrase."""
        self.received = got = Received()
        parts = urlsplit(request.url or "")
        host, secure = parts.hostname or "", parts.scheme == "https"
        if parts.scheme not in {"http", "https"} or not host:
            raise EgressRefused("The address is not an http or https URL.")
        port = parts.port or (443 if secure else 80)
        # Not the context: those of many identities come and go, and each that an idle connection has stays in memory.
        key = (self._pool_key, self._identity, secure, host, port)
        connection = self._session.pool.take(key)
        if connection is None:
            context = self._session.context_of(self._identity) if secure else None
            connection = Connection(self._session.policy, host, port, context)
        answer: Answer | None = None
        try:
            connection.begin(self._deadline, self._cancellation)
            self._request(connection, request)
            sock = connection.sock
            answer = cast("Answer", connection.getresponse())
            self._read(connection, answer)
            # An answer that ends with its connection is complete only when we did not end it ourselves.
            if sock is not None and not sock.release():
                raise Cancelled
        except BaseException:
            self.phase = connection.trace.phase
            got.timings, got.peer = connection.trace.timings, connection.trace.peer
            if answer is not None:
                answer.close()
            connection.close()
            raise
        if connection.sock is not None and not got.truncated:
            self._session.pool.give(key, connection)
        else:
            connection.close()
        return str(answer.reason)

    def close(self) -> None:
        """Nothing: connections belong to the pool."""

    def _request(self, connection: Connection, request: PreparedRequest) -> None:
        target = request.path_url
        headers = {**request.headers, "Accept-Encoding": "gzip" if self._decode else "identity"}
        try:
            connection.request(request.method or "", target, body=request.body, headers=headers)
        except BrokenPipeError:
            # A server may answer early (413) and stop reading; its answer says more than the broken pipe.
            if connection.trace.phase is not Phase.SEND:
                raise
        connection.trace.phase = Phase.WAIT

    def _read(self, connection: Connection, answer: Answer) -> None:
        got = self.received
        trace = connection.trace
        got.timings, got.peer = trace.timings, trace.peer
        got.timings.first_byte_ms = (time.perf_counter() - connection.sent_at) * 1000
        trace.phase = Phase.BODY
        got.status = answer.status
        got.headers = collect_headers(answer.pairs)
        decoder: Decoder | None = None
        while data := answer.read(_READ_BYTES):
            # Answers without a body tell the encoding of the one that they leave out.
            decoder = decoder or decoder_for(got.headers.get("content-encoding", "") if self._decode else "")
            for piece in decoder.feed(data):
                got.body += piece
                if len(got.body) > self._max_body:
                    del got.body[self._max_body :]
                    got.truncated = True
                    answer.close()
                    return
                self._deadline.remaining()
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)
        if decoder is not None:
            decoder.finish()

    def _response(self, request: PreparedRequest, got: Received, reason: str) -> Response:
        response = Response()
        response.status_code = got.status or 0
        response.reason = reason
        response.headers = CaseInsensitiveDict(got.headers)
        response.url = request.url or ""
        response.request = request
        response.connection = self  # type: ignore[assignment]
        response.raw = io.BytesIO(got.body)
        return response


def verdict_of(error: Exception, phase: Phase) -> tuple[ErrorClass, str]:
    """Class and sentence of what ended an exchange."""
    if isinstance(error, RequestException):
        # Its text may repeat a header value, which may be a secret.
        return ErrorClass.INTERNAL, f"The request could not be built ({type(error).__name__})."
    return faults.classify(error, phase)
