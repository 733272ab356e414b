"""The application: the composition root of the web side. Every feature's routes are mounted under `/v1`."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from random import Random
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hub import __version__
from hub.api import access_routes, openapi, operations, transform_routes
from hub.api.body_limit import BodyLimit
from hub.api.edge import Edge
from hub.api.hot_routes import HotRoutes, call_endpoint
from hub.api.metrics import LedgerDepth, RequestMetrics
from hub.api.protocol import ENDING
from hub.api.readiness import Readiness
from hub.api.strict_json import StrictJson
from hub.api.upkeep import KeyUse
from hub.core.clock import SystemClock
from hub.core.errors import HubError
from hub.db.engine import make_engine
from hub.flows import api as flows
from hub.flows.announcing import Announcer
from hub.flows.granting import GrantListener
from hub.integrations.executions import api as executions
from hub.integrations.executions import schedule_api as schedules
from hub.integrations.grants import api as grant_routes
from hub.integrations.grants.keeper import Grants
from hub.integrations.registry import api as integrations
from hub.integrations.registry import apply_api as applying
from hub.integrations.registry import kinds_api as kinds
from hub.integrations.registry import version_api as versions
from hub.integrations.services import Bench
from hub.monitoring import api as monitoring
from hub.net.session import GuardedSession
from hub.sources import api as sources
from hub.sources import receive_route
from hub.transforms.sandbox import Sandbox
from hub.web.problems import response_of
from hub.web.queries import KNOWN_QUERY, check_query
from hub.web.services import Services
from hub.webhooks import api as webhooks
from hub.webhooks.catalogue import api as catalogue
from hub.webhooks.catalogue.validation import Catalogue
from hub.webhooks.committer import Committer
from hub.webhooks.directory import Directory
from hub.webhooks.endpoints import api as endpoints
from hub.webhooks.publish_route import publish_events
from hub.webhooks.replay import api as replay
from hub.webhooks.streaming import api as streaming
from hub.webhooks.streaming.response import Streams

PREFIX = "/v1"
PUBLISH_PATH = f"{PREFIX}/events"

# Before `webhooks`, whose `/events/{event_id}` would take its path.
_FEATURES = (
    endpoints,
    streaming,
    webhooks,
    replay,
    catalogue,
    sources,
    integrations,
    versions,
    applying,
    kinds,
    grant_routes,
    executions,
    schedules,
    flows,
    monitoring,
    access_routes,
    transform_routes,
)


class Application(FastAPI):
    """FastAPI with the hub's OpenAPI document, behind `front`."""

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self.front(scope, receive, send)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request by FastAPI."""
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The document, made on first use."""
        if self.openapi_schema is None:
            openapi.complete(super().openapi(), publish_path=PUBLISH_PATH)
        assert self.openapi_schema is not None
        return self.openapi_schema


def create_app(services: Services) -> Application:
    """Put the application together. Nothing is opened or started before its lifespan begins.

    Args:
        services: what handlers share; they stay the caller's to close.
    """
    app = Application(
        title=openapi.TITLE,
        description=openapi.DESCRIPTION,
        version=__version__,
        openapi_tags=openapi.TAGS,
        # The pages of FastAPI load scripts from elsewhere; the document itself is for tools.
        docs_url=None,
        redoc_url=None,
        # A redirect would be built from the Host header, and loses a POST's body in many clients.
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.services = services
    hot_routes = [
        Route(PUBLISH_PATH, _publish, methods=["POST"], include_in_schema=False),
        Route(
            receive_route.PATH, receive_route.receive, methods=receive_route.METHODS, include_in_schema=False
        ),
    ]
    # FastAPI knows of them too: for other methods of their paths.
    app.router.routes.extend(hot_routes)
    app.router.routes.extend(_routes())

    for error in (HubError, RequestValidationError, DBAPIError, PoolTimeoutError):
        app.add_exception_handler(error, _answer)
    app.add_exception_handler(HTTPException, _answer_http)

    templates = {
        context.endpoint: context.path
        for context in iter_route_contexts(app.routes)
        if context.endpoint is not None and context.path is not None
    }
    metrics, max_bytes = RequestMetrics(templates), services.settings.api_max_body_bytes
    # The last one added is the outermost.
    app.add_middleware(StrictJson, services=services, prefix=f"{PREFIX}/")
    app.add_middleware(BodyLimit, max_bytes=max_bytes)
    app.add_middleware(Edge, metrics=metrics)
    app.front = HotRoutes(
        app, hot_routes, serve=Edge(BodyLimit(call_endpoint, max_bytes), metrics), rest=app.serve
    )
    return app


@cache
def _routes() -> Sequence[BaseRoute]:
    """What FastAPI serves. Reading some hundred signatures takes a tenth of a second: once for all applications."""
    whole = APIRouter()
    for public in (operations.router, endpoints.public, grant_routes.public):
        whole.include_router(public)
    for feature in _FEATURES:
        whole.include_router(feature.router, prefix=PREFIX, dependencies=[KNOWN_QUERY])
    return whole.routes


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    services: Services = app.state.services
    # Probes and scrapes have a connection of their own, which a busy pool cannot take from them.
    probe = make_engine(
        services.engine.url.render_as_string(hide_password=False), pool_size=1, application_name="hub probe"
    )
    app.state.readiness = readiness = Readiness(probe, services.vault, services.settings)
    app.state.ledger_depth = LedgerDepth(probe)
    app.state.catalogue = Catalogue(services.engine)
    app.state.directory = Directory(services.vault, services.settings, SystemClock())
    app.state.directory_lock = threading.Lock()
    app.state.grants = grants = Grants(
        services.engine,
        services.vault,
        GuardedSession(services.policy),
        SystemClock(),
        Random(),  # noqa: S311 - jitter, not a secret
        "api",
        listener=GrantListener(),
    )
    app.state.sandbox = sandbox = Sandbox(children=2)
    app.state.bench = bench = Bench(services, grants, Announcer(sandbox, services.ring))
    app.state.committer = committer = Committer(
        services.engine, services.ring, window_seconds=services.settings.commit_window_ms / 1000
    )
    app.state.streams = streams = Streams(services.engine, SystemClock())
    key_use = KeyUse(services.engine, services.authenticator)
    app.state.receiver = receiver = receive_route.Receiver(services, SystemClock())
    await committer.start()
    await receiver.start()
    await key_use.start()
    try:
        yield {ENDING: streams.ending}
    finally:
        await receiver.stop()
        sandbox.close()
        bench.close()
        grants.close()
        await committer.stop()
        await key_use.stop()
        readiness.close()
        probe.dispose()


async def _publish(request: Request) -> Response:
    await check_query(request, request.app.state.services, openapi.PUBLISH_QUERY)
    return await publish_events(request)


async def _answer(request: Request, error: Exception) -> Response:
    return response_of(error, request.state.request_id)


async def _answer_http(request: Request, error: Exception) -> Response:
    """Starlette knows the status; the sentence, and all methods of a path, are told here."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    detail = error.detail
    if error.status_code == 405:
        allowed = _methods_of(request)
        headers["Allow"] = ", ".join(allowed)
        detail = f"{request.url.path} takes {' and '.join(allowed)}, not {request.method}."
    elif error.status_code == 404:
        detail = f"There is no route {request.url.path}."
    return response_of(HTTPException(error.status_code, detail, headers), request.state.request_id)


def _methods_of(request: Request) -> list[str]:
    methods: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        match, _ = context.matches(request.scope)
        if match is not Match.NONE:
            methods |= context.methods or set()
    return sorted(methods)
