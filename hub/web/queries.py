"""Query parameters that a route does not have are refused: a misspelt filter must not return everything.

Promises: a request without a query costs nothing; a caller without a valid key is told that and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from hub.core.errors import FieldError, Invalid
from hub.web.auth import authenticate
from hub.web.services import Hub, Services  # noqa: TC001 - FastAPI resolves annotations at run time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from fastapi.dependencies.models import Dependant
    from fastapi.routing import APIRoute

_MAX_SHOWN = 10


async def check_query(request: Request, services: Services, known: Collection[str]) -> None:
    """Refuse a request with other query parameters.

    Args:
        request: as it came.
        services: of this application.
        known: the names that there are.

    Raises:
        Invalid: with one field for each that is unknown.
        Unauthenticated: nobody is told before it is known who asks.
    """
    query = request.scope["query_string"]
    if not query:
        return
    given = dict.fromkeys(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    unknown = [name for name in given if name not in known]
    if not unknown:
        return
    await authenticate(request.headers, services)
    choice = f"there are {', '.join(f'`{one}`' for one in known)}" if known else "this route takes none"
    message = f"is not a parameter of this route: {choice}"
    fields = tuple(FieldError(f"query.{ascii(name)[1:-1][:64]}", message) for name in unknown[:_MAX_SHOWN])
    raise Invalid("; ".join(f"{field.path} {field.message}" for field in fields[:1]) + ".", fields=fields)


async def _known_only(request: Request, hub: Hub) -> None:
    if request.scope["query_string"]:
        await check_query(request, hub, _names(request.scope["route"]))


#: For `include_router`: holds for each of its routes.
KNOWN_QUERY = Depends(_known_only)


def _names(route: APIRoute) -> tuple[str, ...]:
    """The query parameters that a route and what it depends on declare."""
    return tuple(sorted({field.alias for field in _query_fields(route.dependant)}))


def _query_fields(dependant: Dependant) -> Iterator[Any]:
    yield from dependant.query_params
    for dependency in dependant.dependencies:
        yield from _query_fields(dependency)
