"""The outermost layer of the application: what holds for every answer, whoever makes it.

Promises: each answer carries a request id and safe headers; an error that nobody handled becomes a problem
without a trace, and the trace goes to the log under that id; each request is measured.
"""

from __future__ import annotations

import logging
import re
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from hub.core.errors import FieldError, Malformed
from hub.core.ids import Kind, format_id, new_uuid
from hub.web.problems import response_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hub.api.metrics import RequestMetrics

log = logging.getLogger(__name__)

#: Set on every answer, unless the handler chose its own.
_HEADERS = {
    b"server": b"integration-hub",
    b"x-content-type-options": b"nosniff",
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
_ITEMS = tuple(_HEADERS.items())
_NAMES = frozenset(_HEADERS)
_REQUEST_ID = re.compile(rb"[0-9A-Za-z._-]{1,64}")


class Edge:
    """ASGI middleware.

    Args:
        app: the rest.
        metrics: counts and times requests.
    """

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id.encode())]
                chosen = _NAMES.intersection([name for name, _ in message["headers"]])
                headers += [item for item in _ITEMS if item[0] not in chosen] if chosen else _ITEMS
                message["headers"] = headers
            await send(message)

        try:
            _refuse_nul(scope)
            await self._app(scope, receive, send_marked)
        except ClientDisconnect:
            log.debug("The client of request %s went away before its body was complete.", request_id)
        except Exception as error:
            if status:  # the answer is half sent: only a cut connection can tell that it is wrong
                log.exception("Request %s failed while it was being answered.", request_id)
                raise
            await response_of(error, request_id)(scope, receive, send_marked)
        finally:
            self._metrics.observe(scope, status, perf_counter() - started)


def _request_id(scope: Scope) -> str:
    """The caller's own id when it is plain enough for a log line, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return format_id(Kind.REQUEST, new_uuid())


def _refuse_nul(scope: Scope) -> None:
    """U+0000 in an address is in nobody's data: Postgres text cannot hold it."""
    if b"%00" in scope["query_string"]:
        place = "query"
    elif "\0" in scope["path"]:
        place = "path"
    else:
        return
    message = "contains the character U+0000"
    raise Malformed(f"The {place} {message}.", fields=(FieldError(place, message),))
