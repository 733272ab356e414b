"""The size cap of request bodies: by the declared length before a byte is read, again as bytes come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.web.bodies import check_size

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware; raises `TooLarge` into whoever reads the body.

    Args:
        app: the rest.
        max_bytes: the cap.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        for name, value in scope["headers"]:
            if name == b"content-length":
                check_size(int(value), self._max)
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                check_size(received, self._max)
            return message

        await self._app(scope, receive_counted, send)
