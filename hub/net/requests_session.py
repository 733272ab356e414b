"""The guarded way out in the shape that libraries know: a `requests.Session`.

For zeep, gql and whatever else takes one. Promises: every request of the session goes through the guarded exchange
under one deadline and one byte cap for each answer, whatever timeout, proxy, certificate or stream option the
library asks for; no cookie, netrc, proxy or other setting of the environment is used; no redirect is followed. A
fault is raised as `ExchangeFault`, which on purpose is no `RequestException`: libraries retry or swallow those.
Leaves to others: what a complete answer means.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import requests
from requests.cookies import RequestsCookieJar
from requests.hooks import default_hooks, dispatch_hook
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from hub.net import faults
from hub.net.exchange import Exchange, verdict_of
from hub.net.headers import is_refused
from hub.net.outcome import ErrorClass, Outcome, classify_status, status_message

if TYPE_CHECKING:
    from collections.abc import Hashable

    from requests import PreparedRequest, Response

    from hub.net.cancellation import Cancellation
    from hub.net.identity import TlsIdentity
    from hub.net.session import Auth, GuardedSession
    from hub.net.sockets import Deadline

_LENGTH = "content-length"


class ExchangeFault(Exception):
    """A request of the session did not bring a complete answer.

    Args:
        outcome: why, with what has come of the answer.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class GuardedRequests(requests.Session):
    """Makes the requests of one call of an integration; not for several threads at once.

    Args:
        session: the way out.
        deadline: for all requests together.
        max_body: bytes of decoded answer; a longer one is a fault.
        pool_key: tenant and credential; connections are never shared across keys.
        identity: client certificate and authorities for https.
        cancellation: ends the call from another thread.
        auth: a `requests` authentication object, for every request.

    Attributes:
        last: what came of the newest request; None before the first one ended.
        requests_made: how many there were.
    """

    def __init__(
        self,
        session: GuardedSession,
        *,
        deadline: Deadline,
        max_body: int,
        pool_key: Hashable,
        identity: TlsIdentity | None = None,
        cancellation: Cancellation | None = None,
        auth: Auth | None = None,
    ) -> None:
        # Not `super().__init__()`: it makes adapters, which are ways out of their own.
        self.headers = CaseInsensitiveDict({"User-Agent": "Integration-Hub/1"})
        self.auth = auth
        self.proxies = {}
        self.hooks = default_hooks()
        self.params = {}
        self.stream = False
        self.verify = True
        self.cert = None
        self.max_redirects = 0
        self.trust_env = False
        self.cookies = RequestsCookieJar()
        self.last: Outcome | None = None
        self.requests_made = 0
        self._guarded = session
        self._cancellation = cancellation
        self._new_exchange = partial(Exchange, session, pool_key, deadline, max_body, identity, cancellation)

    def send(self, request: PreparedRequest, **_options: Any) -> Response:
        """Make one prepared request; `requests`' options have no effect.

        Raises:
            ExchangeFault: refused, not in time, too long, cancelled, or any other fault.
        """
        begun = time.perf_counter()
        self.requests_made += 1
        exchange = self._new_exchange()
        response: Response | None = None
        try:
            response = self._answer(exchange, request)
            got = exchange.received
            status = got.status or 0
            verdict = (
                (ErrorClass.TOO_LARGE, f"The answer is longer than {len(got.body)} bytes.")
                if got.truncated
                else (classify_status(status), status_message(status))
            )
        except Exception as error:  # noqa: BLE001 - an authentication object may raise anything
            cancelled = self._cancellation is not None and self._cancellation.cancelled
            verdict = faults.CANCELLED if cancelled else verdict_of(error, exchange.phase)
        self.last = exchange.received.outcome(*verdict, begun)
        if response is None or self.last.truncated:
            raise ExchangeFault(self.last)
        return response

    def get_adapter(self, url: str) -> Exchange:  # noqa: ARG002 - the signature of `requests`
        """The guarded exchange, for any URL."""
        return self._new_exchange()

    def mount(self, prefix: str | bytes, adapter: Any) -> None:
        """Nothing: there is one way out."""

    def close(self) -> None:
        """Nothing: connections belong to the pool of the guarded session."""

    def _answer(self, exchange: Exchange, request: PreparedRequest) -> Response:
        for name in request.headers:
            if is_refused(name) and name.lower() != _LENGTH:
                raise requests.exceptions.InvalidHeader("only the hub may set it")
        # Judged, but sent as it is spelled: it may be signed.
        self._guarded.policy.called_url(request.url or "")
        answer = exchange.send(request)
        response: Response = dispatch_hook("response", request.hooks, answer)  # type: ignore[no-untyped-call]
        response.encoding = get_encoding_from_headers(response.headers)
        return response


def outcome_of(error: BaseException) -> Outcome:
    """Why a library that was given a `GuardedRequests` failed, however deep it wrapped the cause.

    Args:
        error: what the library raised.

    Returns:
        The outcome of the request that failed; `internal` when it was none: look at the library's own errors first.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, ExchangeFault):
            return cause.outcome
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return Outcome(None, ErrorClass.INTERNAL, f"The call failed inside the hub ({type(error).__name__}).")
