"""JSON bodies of `/v1` routes are checked before FastAPI reads them; the caller is known by then.

Python's own parser takes the last of two equal keys, NaN, and text that Postgres cannot store. The publish route, which
reads its bytes itself, does the same check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from hub.core.errors import FieldError
from hub.web.auth import authenticate
from hub.web.bodies import UnsupportedMediaType, check_strict

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hub.web.services import Services

_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class StrictJson:
    """ASGI middleware.

    Args:
        app: the rest.
        services: to authenticate with, so that a stranger's bytes are not parsed.
        prefix: of the paths that take JSON alone.
    """

    def __init__(self, app: ASGIApp, services: Services, prefix: str) -> None:
        self._app = app
        self._services = services
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (
            scope["type"] != "http"
            or scope["method"] not in _WITH_BODY
            or not scope["path"].startswith(self._prefix)
        ):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        await authenticate(headers, self._services)
        raw = await _read(receive)
        if raw is None:
            return  # the client went away; nobody waits for an answer
        if raw:
            _require_json(headers.get("content-type", ""))
            settings = self._services.settings
            check_strict(raw, max_bytes=settings.api_max_body_bytes, max_depth=settings.api_max_json_depth)
        await self._app(scope, _replay(raw, receive), send)


async def _read(receive: Receive) -> bytes | None:
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(raw: bytes, receive: Receive) -> Receive:
    """Give the body once more, and after it what the connection says."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return again


def _require_json(content_type: str) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        return
    message = "must be application/json"
    raise UnsupportedMediaType(
        f"The body's Content-Type {message}.", fields=(FieldError("header.Content-Type", message),)
    )
