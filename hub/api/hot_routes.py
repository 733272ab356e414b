"""The routes of which thousands come in a second, served before FastAPI sees them.

What FastAPI and Starlette wrap around a handler costs as much as the handler itself. These take and return Starlette's
own requests and responses, and raise errors for `Edge` to render; everything else about them is as for other routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.routing import Match

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.applications import Starlette
    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send


class HotRoutes:
    """An ASGI application before another one.

    Args:
        app: becomes `request.app`.
        routes: whose endpoints are async functions of a request. Other methods of their paths are left to `rest`.
        serve: serves a request that matched: `call_endpoint` with what is to be around it.
        rest: serves all others.
    """

    def __init__(self, app: Starlette, routes: Sequence[Route], *, serve: ASGIApp, rest: ASGIApp) -> None:
        self._app = app
        self._routes = routes
        self._serve = serve
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            for route in self._routes:
                match, matched = route.matches(scope)
                if match is Match.FULL:
                    scope.update(matched)
                    scope["app"] = self._app
                    await self._serve(scope, receive, send)
                    return
        await self._rest(scope, receive, send)


async def call_endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request by the endpoint that it matched."""
    response = await scope["endpoint"](Request(scope, receive, send))
    await response(scope, receive, send)
