"""The guarded way out for integration calls: the `requests` vocabulary on our own connections.

Authentication classes, prepared requests and responses are those of `requests`, since the ecosystem hangs on
them; its adapters, sessions and cookie jars are not used. Promises of `GuardedSession.call`: no exception
for a network fault; one deadline over name, connection, TLS, request, headers and body, over redirects and
authentication rounds too; at most `max_body` decoded bytes in memory; only judged addresses; no proxy, netrc
or cookie from the environment. Leaves to others: retries, rate limits, redaction of what it returns.
"""

from __future__ import annotations

import http.client
import io
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import certifi
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.exceptions import RequestException
from requests.hooks import dispatch_hook
from requests.structures import CaseInsensitiveDict

from hub.net import faults
from hub.net.cancellation import Cancelled
from hub.net.connection import Connection
from hub.net.decoding import decoder_for
from hub.net.headers import is_refused, is_token
from hub.net.identity import context as tls_context
from hub.net.outcome import (
    ErrorClass,
    Outcome,
    Timings,
    classify_status,
    collect_headers,
    status_message,
)
from hub.net.policy import AddressPolicy, EgressRefused
from hub.net.pool import ConnectionPool
from hub.net.redirects import MAX_FOLLOWED, next_hop
from hub.net.sockets import Deadline, TlsContext
from hub.net.trace import Phase

if TYPE_CHECKING:
    from hub.net.cancellation import Cancellation
    from hub.net.identity import TlsIdentity

_READ_BYTES = 65_536
_ALPN = ("http/1.1",)

Auth = Callable[[PreparedRequest], PreparedRequest]


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
    ) -> None:
        self._session = session
        self._pool_key = pool_key
        self._deadline = deadline
        self._max_body = max_body
        self._identity = identity
        self._cancellation = cancellation
        self.phase = Phase.DNS
        self.received = Received()

    def send(self, request: PreparedRequest, *_args: Any, **_options: Any) -> Response:
        """Make one request and read its answer; `requests`' options of its own have no effect."""
        self.received = got = Received()
        parts = urlsplit(request.url or "")
        host, secure = parts.hostname or "", parts.scheme == "https"
        if parts.scheme not in {"http", "https"} or not host:
            raise EgressRefused("The address is not an http or https URL.")
        port = parts.port or (443 if secure else 80)
        context = self._session.context_of(self._identity) if secure else None
        # The context is the identity: connections of one are never another's.
        key = (self._pool_key, context, host, port)
        connection = self._session.pool.take(key) or Connection(self._session.policy, host, port, context)
        answer: http.client.HTTPResponse | None = None
        try:
            connection.begin(self._deadline, self._cancellation)
            self._request(connection, request)
            sock = connection.sock
            answer = connection.getresponse()
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
        return self._response(request, got, answer.reason)

    def close(self) -> None:
        """Nothing: connections belong to the pool."""

    def _request(self, connection: Connection, request: PreparedRequest) -> None:
        target = request.path_url
        headers = {**request.headers, "Accept-Encoding": "gzip"}
        try:
            connection.request(request.method or "", target, body=request.body, headers=headers)
        except BrokenPipeError:
            # A server may answer early (413) and stop reading; its answer says more than the broken pipe.
            if connection.trace.phase is not Phase.SEND:
                raise
        connection.trace.phase = Phase.WAIT

    def _read(self, connection: Connection, answer: http.client.HTTPResponse) -> None:
        got = self.received
        trace = connection.trace
        got.timings, got.peer = trace.timings, trace.peer
        got.timings.first_byte_ms = (time.perf_counter() - connection.sent_at) * 1000
        trace.phase = Phase.BODY
        pairs = answer.headers.items()
        got.status = answer.status
        got.headers = collect_headers(pairs)
        decoder = decoder_for(got.headers.get("content-encoding", ""))
        while data := answer.read(_READ_BYTES):
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


class GuardedSession:
    """Makes calls to the outside; one a process is enough, for any number of threads. Make it after a fork.

    Args:
        policy: where calls may go.
        ca_file: trusted certificates in PEM; certifi's when None.
        idle_seconds: longest life of an unused connection.
    """

    def __init__(
        self, policy: AddressPolicy, *, ca_file: str | None = None, idle_seconds: float = 60.0
    ) -> None:
        self.policy = policy
        self._ca_file = ca_file or certifi.where()
        self._context = tls_context(None, default_ca=self._ca_file, alpn=_ALPN)
        self.pool = ConnectionPool(idle_seconds)

    def context_of(self, identity: TlsIdentity | None) -> TlsContext:
        """The TLS context for HTTP calls of an integration."""
        if identity is None:
            return self._context
        return tls_context(identity, default_ca=self._ca_file, alpn=_ALPN)

    def close(self) -> None:
        """Close the idle connections."""
        self.pool.close()

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        data: bytes | None = None,
        json: Any = None,
        auth: Auth | None = None,
        timeout: float = 15.0,
        max_body: int = 1_048_576,
        follow_redirects: int = 0,
        pool_key: Hashable = "",
        identity: TlsIdentity | None = None,
        cancellation: Cancellation | None = None,
        deadline: Deadline | None = None,
    ) -> Outcome:
        """Make one call.

        Args:
            method: any HTTP method but CONNECT.
            url: absolute; judged here again.
            headers: the caller's own; framing and hop-by-hop ones are refused.
            params: added to the query.
            data: body as bytes; excludes `json`.
            json: body as a JSON value.
            auth: a `requests` authentication object.
            timeout: seconds for everything.
            max_body: bytes of decoded answer that are kept; a longer one is `too_large`.
            follow_redirects: hops to follow, at most 3.
            pool_key: tenant and credential; connections are never shared across keys.
            identity: client certificate and authorities for https; connections are never shared across identities.
            cancellation: ends the call from another thread.
            deadline: in place of `timeout`, for calls that share one (pages of a list).

        Returns:
            The outcome; also for every fault of network, address, answer or authentication object.
        """
        begun = time.perf_counter()
        exchange = Exchange(self, pool_key, deadline or Deadline(timeout), max_body, identity, cancellation)
        try:
            verdict = self._run(
                exchange, method.upper(), url, dict(headers or {}), params, data, json, auth, follow_redirects
            )
        except Exception as error:  # noqa: BLE001 - an authentication object may raise anything
            cancelled = cancellation is not None and cancellation.cancelled
            verdict = faults.CANCELLED if cancelled else verdict_of(error, exchange.phase)
        return exchange.received.outcome(*verdict, begun)

    def _run(
        self,
        exchange: Exchange,
        method: str,
        url: str,
        headers: dict[str, str],
        params: Mapping[str, Any] | None,
        data: bytes | None,
        json: Any,
        auth: Auth | None,
        follow_redirects: int,
    ) -> tuple[ErrorClass | None, str]:
        for name in headers:
            if is_refused(name) or not is_token(name):
                return (
                    ErrorClass.INTERNAL,
                    "A header of this request is not valid, or only the hub may set it.",
                )
        if method == "CONNECT" or not is_token(method):
            return ErrorClass.INTERNAL, "The method is not valid."
        hops_left = min(follow_redirects, MAX_FOLLOWED)
        while True:
            request = _prepare(method, self.policy.check_url(url), headers, params, data, json, auth)
            response = exchange.send(request)
            dispatch_hook("response", request.hooks, response)  # type: ignore[no-untyped-call]
            got = exchange.received
            status = got.status or 0
            hop = next_hop(
                status=status,
                location=got.headers.get("location"),
                method=method,
                url=request.url or "",
                headers=headers,
                has_body=request.body is not None,
            )
            if hop is None or hops_left <= 0:
                if got.truncated:
                    return ErrorClass.TOO_LARGE, f"The answer is longer than {len(got.body)} bytes."
                return classify_status(status), status_message(status)
            hops_left -= 1
            method, url, headers, params = hop.method, hop.url, hop.headers, None
            data, json = (data, json) if hop.keep_body else (None, None)
            auth = auth if hop.keep_auth else None


def _prepare(
    method: str,
    url: str,
    headers: Mapping[str, str],
    params: Mapping[str, Any] | None,
    data: bytes | None,
    json: Any,
    auth: Auth | None,
) -> PreparedRequest:
    """`requests`' own steps without its cookies."""
    request = PreparedRequest()
    request.prepare_method(method)
    request.prepare_url(url, params)
    request.prepare_headers(headers)
    request.prepare_body(data, None, json)
    request.prepare_auth(auth, url)
    return request


def verdict_of(error: Exception, phase: Phase) -> tuple[ErrorClass, str]:
    """Class and sentence of what ended an exchange."""
    if isinstance(error, RequestException):
        # Its text may repeat a header value, which may be a secret.
        return ErrorClass.INTERNAL, f"The request could not be built ({type(error).__name__})."
    return faults.classify(error, phase)
