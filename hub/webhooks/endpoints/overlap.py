"""Keys of an endpoint that were replaced and still sign, as they are stored: newest first, each with its end. Pure."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Older keys that an endpoint may have; a receiver gets one signature for each.
MAX_OLD = 10

#: `{"secret_id": …, "expires_at": ISO 8601}`, of ed25519 keys also `public_key`.
Stored = dict[str, Any]


class Old(NamedTuple):
    """A key that was replaced."""

    secret_id: uuid.UUID
    expires_at: datetime
    public_key: str | None


def live(stored: Sequence[Stored], now: datetime | None = None) -> list[Old]:
    """Those that have not ended by then; None: all.

    Raises:
        KeyError, ValueError, TypeError: they were not written by the hub.
    """
    old = [
        Old(uuid.UUID(one["secret_id"]), datetime.fromisoformat(one["expires_at"]), one.get("public_key"))
        for one in stored
    ]
    return [one for one in old if now is None or one.expires_at > now]


def stored(old: Old) -> Stored:
    """As it is stored."""
    found = {"secret_id": str(old.secret_id), "expires_at": old.expires_at.isoformat()}
    return found if old.public_key is None else found | {"public_key": old.public_key}


def replaced(
    before: Sequence[Stored], current: uuid.UUID, public_key: str | None, *, now: datetime, overlap: float
) -> tuple[list[Stored], list[uuid.UUID]]:
    """The current key becomes an old one.

    Args:
        before: the old ones so far; those that last longer than the new overlap end with it.
        current: the vault's id of the current one.
        public_key: of an ed25519 key.
        now: the current time.
        overlap: seconds for which it still signs; 0 ends it and all older ones at once.

    Returns:
        What to store, and the ids that are of no more use.
    """
    end = now + timedelta(seconds=overlap)
    older = [one._replace(expires_at=min(end, one.expires_at)) for one in live(before, now)]
    every = [Old(current, end, public_key), *older]
    kept = every[:MAX_OLD] if overlap > 0 else []
    return _split(before, kept, extra=current)


def still(before: Sequence[Stored], now: datetime) -> tuple[list[Stored], list[uuid.UUID]]:
    """Without those that have ended: what to store, and the ids that are of no more use."""
    return _split(before, live(before, now))


def _split(
    before: Sequence[Stored], kept: Sequence[Old], extra: uuid.UUID | None = None
) -> tuple[list[Stored], list[uuid.UUID]]:
    ids = {one.secret_id for one in kept}
    every = [one.secret_id for one in live(before)] + ([] if extra is None else [extra])
    return [stored(one) for one in kept], [one for one in every if one not in ids]
