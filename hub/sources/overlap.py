"""The secrets of a source: ids into the vault, the current ones first, older ones with their end. Pure."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Secrets that a source may have at once; a request may be tried with each.
MAX_SECRETS = 10

#: As it is stored: `{"id": …, "expires_at": Unix seconds or None}`.
Stored = dict[str, Any]


def stored(secret_id: uuid.UUID) -> Stored:
    """A secret that does not end."""
    return {"id": str(secret_id), "expires_at": None}


def live_ids(secrets: Sequence[Stored], now: float) -> list[tuple[uuid.UUID, float | None]]:
    """The secrets that are valid at a Unix second, and when they end."""
    return [
        (uuid.UUID(one["id"]), one["expires_at"])
        for one in secrets
        if one["expires_at"] is None or one["expires_at"] > now
    ]


def rotate(
    secrets: Sequence[Stored], new: uuid.UUID, *, now: float, overlap: float
) -> tuple[list[Stored], list[uuid.UUID]]:
    """Put a new secret first and let all others end after the overlap, or earlier if that was decided before.

    Args:
        secrets: as stored.
        new: the new one.
        now: Unix seconds.
        overlap: seconds; 0 ends the others at once.

    Returns:
        What to store, and the ids that are of no more use: ended, or too many.
    """
    end = now + overlap
    older = [
        {"id": str(one), "expires_at": end if until is None else min(end, until)}
        for one, until in live_ids(secrets, now)
    ]
    kept = [stored(new), *(older if overlap > 0 else [])][:MAX_SECRETS]
    ids = {one["id"] for one in kept}
    return kept, [uuid.UUID(one["id"]) for one in secrets if one["id"] not in ids]
