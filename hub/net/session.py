"""The guarded way out for integration calls: the `requests` vocabulary on our own connections.

Authentication classes, prepared requests and responses are those of `requests`, since the ecosystem hangs on
them; its adapters, sessions and cookie jars are not used. Promises of `GuardedSession.call`: no exception
for a network fault; one deadline over name, connection, TLS, request, headers and body, over redirects and
authentication rounds too; at most `max_body` decoded bytes in memory; only judged addresses; no proxy, netrc
or cookie from the environment. Leaves to others: retries, rate limits, redaction of what it returns.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

import certifi
from requests import PreparedRequest
from requests.hooks import dispatch_hook

from hub.core.headers import is_refused, is_token
from hub.net import faults
from hub.net.exchange import Exchange, verdict_of
from hub.net.identity import context as tls_context
from hub.net.outcome import NEVER_SENT, ErrorClass, Outcome, classify_status, status_message
from hub.net.pool import ConnectionPool
from hub.net.redirects import MAX_FOLLOWED, next_hop
from hub.net.sockets import Deadline, TlsContext

if TYPE_CHECKING:
    from hub.net.cancellation import Cancellation
    from hub.net.exchange import Received
    from hub.net.identity import TlsIdentity
    from hub.net.policy import AddressPolicy

#: What integrations call themselves, over HTTP and what is built on it.
USER_AGENT = "Integration-Hub/1"
_ALPN = ("http/1.1",)

Auth = Callable[[PreparedRequest], PreparedRequest]

# What says that a request did not arrive, or had no effect: classes (a fault of ours came before its request), and
# statuses that refuse it.
_UNTAKEN_CLASSES = NEVER_SENT | {ErrorClass.INTERNAL}
_UNTAKEN_STATUSES = frozenset({401, 407, 429, 503})

#: A URL without anything that has to be quoted, with a path.
_SPELLED_OUT = re.compile(r"https?://[^/?#]+/(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")


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

    def context_of(self, identity: TlsIdentity | None, *, alpn: tuple[str, ...] = _ALPN) -> TlsContext:
        """The TLS context of an integration.

        Args:
            identity: its client certificate and authorities; None for the usual ones.
            alpn: protocols to offer; those of HTTP calls by default.
        """
        if identity is None and alpn == _ALPN:
            return self._context
        return tls_context(identity, default_ca=self._ca_file, alpn=alpn)

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
        decode: bool = True,
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
            max_body: bytes of decoded answer that are kept; a longer success is `too_large`, a longer failure is
                what its status says, and cut.
            follow_redirects: hops to follow, at most 3.
            pool_key: tenant and credential; connections are never shared across keys.
            identity: client certificate and authorities for https; connections are never shared across identities.
            cancellation: ends the call from another thread.
            deadline: in place of `timeout`, for calls that share one (pages of a list).
            decode: False asks for no content coding and takes the body as it comes, whatever coding its headers name;
                for what is stored with one.

        Returns:
            The outcome; also for every fault of network, address, answer or authentication object. A request that
            was answered by a redirect and then became another one (RFC 9110, 15.4) was taken: what befalls the
            other one is never told as if the first had not arrived, but as `protocol`, without a status.
        """
        begun = time.perf_counter()
        exchange = Exchange(
            self, pool_key, deadline or Deadline(timeout), max_body, identity, cancellation, decode=decode
        )
        try:
            verdict = self._run(
                exchange, method.upper(), url, dict(headers or {}), params, data, json, auth, follow_redirects
            )
        except Exception as error:  # noqa: BLE001 - an authentication object may raise anything
            cancelled = cancellation is not None and cancellation.cancelled
            verdict = faults.CANCELLED if cancelled else verdict_of(error, exchange.phase)
        if exchange.taken:
            verdict = _of_taken(exchange.received, *verdict)
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
            request = _prepare(method, self.policy.called_url(url), headers, params, data, json, auth)
            if request.hooks["response"]:
                dispatch_hook("response", request.hooks, exchange.send(request))  # type: ignore[no-untyped-call]
            else:
                exchange.make(request)
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
                error_class = classify_status(status)
                if got.truncated and error_class is None:
                    return ErrorClass.TOO_LARGE, f"The answer is longer than {len(got.body)} bytes."
                # What a failure means is in its status and headers, which came whole.
                return error_class, status_message(status)
            hops_left -= 1
            exchange.taken |= hop.method != method
            method, url, headers, params = hop.method, hop.url, hop.headers, None
            data, json = (data, json) if hop.keep_body else (None, None)
            auth = auth if hop.keep_auth else None


def _of_taken(
    received: Received, error_class: ErrorClass | None, message: str
) -> tuple[ErrorClass | None, str]:
    """The verdict over a request that a redirect answered, by what came of the request that followed.

    Whoever reads that this one did not arrive, or was refused, would make the first one again.
    """
    if error_class is None or error_class is ErrorClass.CANCELLED:
        return error_class, message
    if error_class in _UNTAKEN_CLASSES or received.status in _UNTAKEN_STATUSES:
        received.status, error_class = None, ErrorClass.PROTOCOL
    return error_class, f"The request was answered by a redirect, which led to a failure: {message}"


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
    request.method = method
    if params is None and _SPELLED_OUT.fullmatch(url) is not None:
        # What is quoted already: `prepare_url` would take it apart and put it together again.
        request.url = url
    else:
        request.prepare_url(url, params)
    request.prepare_headers(headers)
    request.prepare_body(data, None, json)
    request.prepare_auth(auth, url)
    return request
