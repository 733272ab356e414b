"""One HTTP exchange with the hub, repeated while that is safe; pooled connections, problems as errors.

After a lost connection, 502 and 504 a request is repeated only when doing it twice is doing it once (a GET,
or a POST with an `Idempotency-Key`). After 429 and 503 the hub has accepted nothing, so anything is repeated;
likewise when no connection came about.
"""

from __future__ import annotations

import os
import re
import threading
import time
from email.utils import parsedate_to_datetime
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from hub.client.errors import FieldProblem, HubApiError, HubUnreachable
from hub.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ACCEPTED_NOTHING = frozenset({429, 503})
_UNKNOWN_FATE = frozenset({502, 504})
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
#: A hub that asks for a longer pause gets none: the caller is told instead, seconds.
_LONGEST_RETRY_AFTER = 30.0
_POOL = 32
_STREAM = "text/event-stream"
_KEY = re.compile(r"[\x21-\x7e]+")


def pause_before(repeat: int, rng: Random) -> float:
    """Seconds before a repeat: 0.2, doubled each time, at most 5; half of it is chance, to spread crowds.

    Args:
        repeat: 1 for the first one.
        rng: source of chance.
    """
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (repeat - 1))
    return longest * (0.5 + 0.5 * rng.random())


def read_retry_after(value: str | None, now: float) -> float | None:
    """Seconds of a `Retry-After` header, a number or a date (RFC 9110 section 10.2.3); None without one.

    Args:
        value: the header.
        now: Unix time, seconds.
    """
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


class _Bearer(AuthBase):
    """Sets the header last: without it, requests would let a ~/.netrc entry replace the key."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        return request


class Transport:
    """Sends requests of one key to one hub. Safe for any number of threads, and across a fork.

    Args:
        base_url: where the hub's API is, e.g. `https://hub.example.com`.
        api_key: `hub_…`.
        timeout: seconds for connecting, and for each wait for bytes.
        retries: repeats at most.
        sleep: waits so many seconds.
        rng: chance for the backoff.

    Raises:
        ValueError: the URL or the key is malformed.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float,
        retries: int,
        sleep: Callable[[float], None] = time.sleep,
        rng: Random | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or any(mark in base_url for mark in "@?#")
        ):
            raise ValueError("base_url must be http:// or https:// and a host, without credentials or query")
        # requests would put a malformed header value into its error's text.
        if _KEY.fullmatch(api_key) is None:
            raise ValueError("api_key must be visible ASCII characters without spaces")
        self.base_url = base_url.rstrip("/")
        self._auth = _Bearer(Secret(api_key))
        self._timeout = timeout
        self.retries = retries
        self._sleep = sleep
        self._rng = Random() if rng is None else rng  # noqa: S311 - jitter, not a secret
        self._lock = threading.Lock()
        self._session: requests.Session | None = None
        self._pid = 0

    def request(
        self,
        method: str,
        path: str,
        *,
        body: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool,
        extra_wait: float = 0.0,
    ) -> tuple[int, Any]:
        """Send a request and read its answer.

        Args:
            method: HTTP method.
            path: from the root, e.g. `/v1/events`.
            body: JSON text.
            query: parameters; those that are None are left out.
            headers: more headers.
            repeatable: doing it twice is doing it once.
            extra_wait: seconds that the hub was asked to take before it answers.

        Returns:
            The status, and the decoded JSON of a 2xx answer (None when it is empty).

        Raises:
            HubApiError: the hub refused it.
            HubUnreachable: no usable answer after the repeats.
        """
        sent = {"Accept": "application/json", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        tries = 0
        while True:
            tries += 1
            last = tries > self.retries
            asked = 0.0
            try:
                answer = self._open_session().request(
                    method,
                    self.base_url + path,
                    params=query,
                    data=None if body is None else body.encode(),
                    headers=sent,
                    auth=self._auth,
                    allow_redirects=False,
                    timeout=(self._timeout, self._timeout + extra_wait),
                )
            except requests.RequestException as error:
                if last or not (repeatable or _never_sent(error)):
                    raise HubUnreachable(_no_answer(self.base_url, error, tries)) from None
            else:
                if answer.status_code < 300:
                    return answer.status_code, _decoded(answer, self.base_url)
                problem = _problem(answer, time.time())
                asked = problem.retry_after or 0.0
                again = problem.status in _ACCEPTED_NOTHING or (
                    repeatable and problem.status in _UNKNOWN_FATE
                )
                if last or not again or asked > _LONGEST_RETRY_AFTER:
                    raise problem
            self._sleep(max(asked, pause_before(tries, self._rng)))

    def open(
        self, path: str, *, query: Mapping[str, Any], headers: Mapping[str, str], silence: float
    ) -> requests.Response:
        """Begin a stream of server-sent events: one try, the answer's body is the caller's to read and to close.

        Args:
            path: from the root.
            query: parameters; those that are None are left out.
            headers: more headers.
            silence: seconds without a byte after which it is given up.

        Raises:
            HubApiError: the hub refused it.
            HubUnreachable: no usable answer.
        """
        try:
            answer = self._open_session().get(
                self.base_url + path,
                params=query,
                headers={"Accept": _STREAM, "Accept-Encoding": "identity", **headers},
                auth=self._auth,
                allow_redirects=False,
                timeout=(self._timeout, silence),
                stream=True,
            )
            if answer.status_code >= 300:
                raise _problem(answer, time.time())
        except requests.RequestException as error:
            raise HubUnreachable(_no_answer(self.base_url, error, 1)) from None
        if not answer.headers.get("Content-Type", "").startswith(_STREAM):
            answer.close()
            raise HubUnreachable(f"What answers at {self.base_url} is not a hub: its answer is no stream.")
        return answer

    def wait(self, seconds: float) -> None:
        """Pause between tries."""
        self._sleep(seconds)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            if self._session is not None and self._pid == os.getpid():
                self._session.close()
            self._session = None

    def _open_session(self) -> requests.Session:
        with self._lock:
            # Sockets must not be shared with a forked worker: two processes would read each other's answers.
            if self._session is None or self._pid != os.getpid():
                self._session = requests.Session()
                self._session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=_POOL))
                self._session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=_POOL))
                self._session.headers["User-Agent"] = "integration-hub-client/1"
                self._pid = os.getpid()
            return self._session


def _never_sent(error: requests.RequestException) -> bool:
    """No connection came about, so the hub has not seen a byte."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def _no_answer(base_url: str, error: requests.RequestException, tries: int) -> str:
    what = "did not answer in time" if isinstance(error, requests.Timeout) else "could not be reached"
    times = "once" if tries == 1 else f"{tries} times"
    return f"The hub at {base_url} {what} ({type(error).__name__}, tried {times})."


def _decoded(answer: requests.Response, base_url: str) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except requests.JSONDecodeError:
        raise HubUnreachable(f"What answers at {base_url} is not a hub: its answer is not JSON.") from None


def _problem(answer: requests.Response, now: float) -> HubApiError:
    """The error of an answer: a problem document (RFC 9457), or whatever a proxy in between made of it."""
    try:
        problem = answer.json()
    except requests.JSONDecodeError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    fields = problem.get("errors")
    return HubApiError(
        answer.status_code,
        str(problem.get("type") or "http_error").rsplit("/", 1)[-1],
        str(problem.get("detail") or answer.reason or "The answer has no explanation."),
        tuple(
            FieldProblem(str(field.get("path", "")), str(field.get("message", "")))
            for field in (fields if isinstance(fields, list) else [])
            if isinstance(field, dict)
        ),
        problem.get("request_id") or answer.headers.get("X-Request-Id"),
        retry_after=read_retry_after(answer.headers.get("Retry-After"), now),
    )
