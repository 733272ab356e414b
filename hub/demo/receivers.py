"""Three webhook receivers in one WSGI server: `python -m hub.demo.receivers PORT RUN`.

Every delivery is verified with the official `standardwebhooks` package before it counts. They count in memory,
by `webhook-id`: calls, and those that were accepted.

    PUT  /secrets/{name}       the signing secret of an endpoint
    POST /hooks/{run}/{name}   a delivery; those that an aborted run left behind find nothing
    GET  /stats                totals of each receiver
    GET  /seen/{name}          calls and accepted ones by webhook-id
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook, WebhookVerificationError

from hub.demo.plan import RECEIVERS
from hub.demo.wsgi import serve

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from hub.demo.plan import Receiver

_REASONS = {
    200: "OK",
    204: "No Content",
    401: "Unauthorized",
    404: "Not Found",
    410: "Gone",
    500: "Internal Server Error",
}


class _Counts:
    """What one receiver saw."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._lock = threading.Lock()
        self._webhook: Webhook | None = None
        self._calls: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()
        self._unverified = 0

    def keep(self, secret: str) -> None:
        self._webhook = Webhook(secret)

    def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """The status to answer a delivery with."""
        try:
            if self._webhook is None:
                raise WebhookVerificationError
            content = self._webhook.verify(body, headers)
            webhook_id = headers["webhook-id"]
            if _names_another(content["data"], webhook_id):
                raise WebhookVerificationError
        except (WebhookVerificationError, KeyError, TypeError, ValueError):
            with self._lock:
                self._unverified += 1
            return 401
        with self._lock:
            self._calls[webhook_id] += 1
            if self._receiver.gone:
                return 410
            if self._calls[webhook_id] <= self._receiver.failures_of(webhook_id):
                return 500
            self._accepted[webhook_id] += 1
        return 200

    def stats(self) -> dict[str, int]:
        with self._lock:
            return {
                "calls": self._calls.total(),
                "accepted": len(self._accepted),
                "unverified": self._unverified,
            }

    def seen(self) -> dict[str, dict[str, int]]:
        with self._lock:
            return {"calls": dict(self._calls), "accepted": dict(self._accepted)}


class Receivers:
    """The WSGI application.

    Args:
        receivers: what each does.
        run: a part of the path that another run does not have.
    """

    def __init__(self, receivers: Iterable[Receiver], run: str) -> None:
        self._hooks = f"hooks/{run}"
        self._counts = {receiver.name: _Counts(receiver) for receiver in receivers}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        status, answer = self._answer(environ)
        body = b"" if answer is None else json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status} {_REASONS[status]}", headers)
        return [body]

    def _answer(self, environ: WSGIEnvironment) -> tuple[int, Any]:
        method = environ["REQUEST_METHOD"]
        what, _, name = environ["PATH_INFO"].strip("/").rpartition("/")
        if (method, what, name) == ("GET", "", "stats"):
            return 200, {each: counts.stats() for each, counts in self._counts.items()}
        counts = self._counts.get(name)
        if counts is None:
            return 404, None
        match method, what:
            case "POST", self._hooks:
                return counts.receive(_body(environ), _headers(environ)), None
            case "PUT", "secrets":
                counts.keep(_body(environ).decode())
                return 204, None
            case "GET", "seen":
                return 200, counts.seen()
        return 404, None


def _names_another(data: Any, webhook_id: str) -> bool:
    """The demo's own events carry their id in their data: body and id of two events must not be mixed up."""
    return isinstance(data, dict) and data.get("event", webhook_id) != webhook_id


def _body(environ: WSGIEnvironment) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return body


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    return {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }


if __name__ == "__main__":
    serve(Receivers(RECEIVERS, sys.argv[2]), int(sys.argv[1]))
