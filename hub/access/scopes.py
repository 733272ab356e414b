"""What an API key may do: a fixed set of scopes, `noun:read` or `noun:write`; `admin` has all, and may open tenants.

A write scope does not include the read scope: a service that only publishes has no need to read.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from hub.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class Scope(StrEnum):
    """The scopes that exist."""

    INTEGRATIONS_READ = "integrations:read"
    INTEGRATIONS_WRITE = "integrations:write"
    EXECUTIONS_READ = "executions:read"
    EXECUTIONS_WRITE = "executions:write"
    ENDPOINTS_READ = "endpoints:read"
    ENDPOINTS_WRITE = "endpoints:write"
    EVENT_TYPES_READ = "event_types:read"
    EVENT_TYPES_WRITE = "event_types:write"
    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    SOURCES_READ = "sources:read"
    SOURCES_WRITE = "sources:write"
    ADMIN = "admin"


def parse_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Read scope names that a person gave.

    Raises:
        Invalid: none was given, or one does not exist; the sentence lists those that do.
    """
    given = list(names)
    known = {scope.value for scope in Scope}
    unknown = sorted(set(given) - known)
    choice = f"choose from {', '.join(scope.value for scope in Scope)}"
    if unknown:
        message = f"unknown scope {', '.join(unknown)}; {choice}"
    elif not given:
        message = f"a key without a scope can do nothing; {choice}"
    else:
        return frozenset(Scope(name) for name in given)
    raise Invalid(f"scopes: {message}.", fields=(FieldError("scopes", message),))


def known_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Read stored scope names; one that a newer or older version knew grants nothing."""
    known = {scope.value for scope in Scope}
    return frozenset(Scope(name) for name in names if name in known)


def allows(held: Collection[Scope], needed: Scope) -> bool:
    """Whether these scopes permit what needs this one."""
    return needed in held or Scope.ADMIN in held
