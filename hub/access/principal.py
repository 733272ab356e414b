"""Who a request comes from, once its key was checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.access.scopes import Scope, allows
from hub.core.errors import Forbidden

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Principal:
    """A tenant's key at work.

    Args:
        tenant_id: the only tenant whose rows the request may touch.
        key_id: the API key.
        scopes: what the key may do.
        roles: names that integrations' access rules may let in.
    """

    tenant_id: UUID
    key_id: UUID
    scopes: frozenset[Scope]
    roles: frozenset[str] = frozenset()

    def require(self, scope: Scope) -> None:
        """Go on only with this scope.

        Raises:
            Forbidden: the key has neither it nor `admin`.
        """
        if not allows(self.scopes, scope):
            raise Forbidden(f"This API key lacks the scope {scope.value}.")
