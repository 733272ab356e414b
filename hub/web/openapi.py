"""Descriptions of routes that FastAPI does not see: plain Starlette handlers, which read their own bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_ATTRIBUTE = "openapi_operation"

F = TypeVar("F", bound=Callable[..., Any])


def describe(**operation: Any) -> Callable[[F], F]:
    """Describe a plain handler: `@describe(summary="Publish events", tags=["events"], requestBody={…})`.

    Args:
        operation: an OpenAPI 3.1 operation object. The problem responses and, unless it names others, the
            security scheme are added by `hub.api`.
    """

    def mark(handler: F) -> F:
        setattr(handler, _ATTRIBUTE, operation)
        return handler

    return mark


def description_of(handler: Callable[..., Any]) -> dict[str, Any] | None:
    """The operation object that `describe` attached, or None."""
    found: dict[str, Any] | None = getattr(handler, _ATTRIBUTE, None)
    return found
