"""From the `Authorization` header to the caller, for FastAPI routes and for plain Starlette handlers.

Promises: a key that was checked a moment ago costs microseconds and no thread; any other look-up runs in a
thread, so that the event loop never waits for the database. What a key may do is said by `requires`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from hub.access.principal import Principal  # noqa: TC001 - FastAPI resolves annotations at run time
from hub.access.scopes import Scope
from hub.core.errors import FieldError, Unauthenticated
from hub.web.services import Hub, Services  # noqa: TC001 - likewise

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOW = "send `Authorization: Bearer hub_…`"

#: Only documents the header in OpenAPI: `authenticate` reads it, so that every refusal is one problem.
_bearer = HTTPBearer(
    scheme_name="api_key",
    bearerFormat="hub_<id>_<secret>",
    description="An API key of the hub. Its scopes decide what it may do in its tenant; `admin` includes all of them,"
    " makes and revokes the tenant's keys, and may open further tenants, which it cannot see.",
    auto_error=False,
)


async def authenticate(headers: Mapping[str, str], services: Services) -> Principal:
    """Who sends this request.

    Args:
        headers: of the request (`request.headers`, which ignore case).
        services: of this application.

    Raises:
        Unauthenticated: no key, another scheme, or a key that is unknown, expired or revoked.
    """
    header = headers.get("authorization")
    if header is None:
        raise _refusal("is missing")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":  # RFC 9110 section 11.1: schemes are case-insensitive
        raise _refusal("uses another scheme than Bearer")
    token = token.strip(" ")
    caller = services.authenticator.authenticate_from_memory(token)
    if caller is None:
        caller = await run_in_threadpool(services.authenticator.authenticate, token)
    return caller


def requires(scope: str | None = None) -> Any:
    """A route's need of a scope.

    Used as `caller: Annotated[Principal, requires("endpoints:read")]`.

    Args:
        scope: one of `hub.access.scopes.Scope`; None accepts any valid key.

    Raises:
        ValueError: when the module is imported, for a scope that does not exist.
    """
    needed = None if scope is None else Scope(scope)

    async def caller(
        request: Request,
        hub: Hub,
        _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Principal:
        principal = await authenticate(request.headers, hub)
        if needed is not None:
            principal.require(needed)
        return principal

    return Security(caller, scopes=[] if needed is None else [needed.value])


def _refusal(fault: str) -> Unauthenticated:
    return Unauthenticated(
        f"The Authorization header {fault}: {_HOW}.",
        fields=(FieldError("header.Authorization", f"{fault}: {_HOW}"),),
    )
