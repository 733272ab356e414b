"""What is stored of one grant, as it was read: all times as seconds from that moment, by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy import Row

#: A token is not used in the last seconds of its life: it must outlive the call that carries it.
_LAST_SECONDS = 10.0
_LAST_PART = 0.1


@dataclass(frozen=True, slots=True)
class Grant:
    """One row.

    Args:
        state: `none`, `active` or `needs_reauth`.
        version: counts stored tokens.
        fence: counts leases.
        basis: what the tokens belong to (see `holder`).
        access_id: the access token in the vault.
        refresh_id: the refresh token there.
        serves_for: seconds that the access token can still be used; `inf` when it has no known end.
        refresh_in: seconds until it is to be renewed, negative when that is due; `inf` when never.
        lease_left: seconds that a renewal under way is left alone; 0 or less when there is none.
        rest_left: seconds until the provider may be asked again; 0 or less when it may.
        interrupted: an earlier renewal ended without an answer after its intent was written.
        rejected: the service refused this version of the access token.
        failures: questions in a row without an answer.
        refused_with: which settings the provider refused.
        last_error: what went wrong last.
        scopes: granted.
        metadata: captured.
    """

    state: str
    version: int
    fence: int
    basis: str
    access_id: UUID | None
    refresh_id: UUID | None
    serves_for: float
    refresh_in: float
    lease_left: float
    rest_left: float
    interrupted: bool
    rejected: bool
    failures: int
    refused_with: str | None
    last_error: str | None
    scopes: tuple[str, ...]
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, row: Row[Any]) -> Grant:
        """Read a row of `store.find_grant`."""
        left = inf if row.life_left is None else row.life_left
        if row.life is not None:
            left -= min(_LAST_SECONDS, row.life * _LAST_PART)
        return cls(
            state=row.state,
            version=row.version,
            fence=row.fence,
            basis=row.basis,
            access_id=row.access_secret_id,
            refresh_id=row.refresh_secret_id,
            serves_for=left,
            refresh_in=inf if row.refresh_in is None else row.refresh_in,
            lease_left=row.lease_left or 0.0,
            rest_left=row.rest_left or 0.0,
            interrupted=row.intent_at is not None,
            rejected=row.rejected_version == row.version,
            failures=row.failures,
            refused_with=row.refused_with,
            last_error=row.last_error,
            scopes=tuple(row.scopes),
            metadata=row.metadata,
        )
