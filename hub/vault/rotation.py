"""Keeping ring and database together: the start-up check, and moving secrets from one key to the next.

The way of a key: `generate` → first in HUB_MASTER_KEYS, the old one second → `rotate` (any time from here on,
calls go on) → restart every process with both keys → `rotate` again for what was written meanwhile → `retire`
→ remove the old key. Each step says which one comes next; none of them makes a secret unreadable.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from hub.core.errors import ConfigError, Conflict
from hub.vault import envelope, store
from hub.vault.envelope import Place, Sealed, Undecryptable, WrappedKey

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from hub.vault.envelope import KeyEncryptionKey, RandomBytes
    from hub.vault.keyring import KeyRing
    from hub.vault.store import Canary, Usage

_NOBODY = UUID(int=0)
_CANARY_TEXT = b"hub/canary/v1"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call of `rewrap` or `retire` did.

    Args:
        moved: secrets that the call changed.
        left: secrets that it has still to change, as far as the ring's keys go.
        broken: secrets that do not open under the key they name; they stay as they are.
    """

    moved: int
    left: int
    broken: tuple[UUID, ...]


def check(conn: Connection, ring: KeyRing, random_bytes: RandomBytes = os.urandom) -> list[Usage]:
    """Make sure that this ring opens this database; every process calls it before it starts work.

    An empty database takes the ring as its own. A new primary is welcome when another key of the ring proves
    that the ring belongs here.

    Args:
        conn: a connection inside a transaction.
        ring: the keys of this process.
        random_bytes: a cryptographically strong source.

    Returns:
        How many secrets are under which key.

    Raises:
        ConfigError: the ring does not fit; the sentence says what to do.
    """
    canaries = store.lock_canaries(conn)
    usage = store.usage(conn)
    known = [(canary, key) for canary in canaries if (key := ring.find(canary.kek_id)) is not None]
    for canary, key in known:
        _open_canary(canary, key)
    if canaries and not known:
        raise ConfigError(
            f"HUB_MASTER_KEYS does not belong to this database, which was started with key"
            f" {canaries[-1].kek_id} (this ring: {', '.join(key.id for key in ring.keys)})."
            " Give the hub the key of this database, or point HUB_DATABASE_URL to the right one."
        )
    for row in usage:
        if ring.find(row.kek_id) is None and ring.find(row.previous_kek_id) is None:
            raise ConfigError(
                f"{row.secrets} secrets are under key {row.kek_id}, which HUB_MASTER_KEYS does not hold."
                " Put that key back (behind the primary), run `hub keys rotate` and `hub keys retire`,"
                " and only then remove it."
            )
    if all(key is not ring.primary for _, key in known):
        sealed = envelope.seal(ring.primary, _canary_place(ring.primary.id), _CANARY_TEXT, random_bytes)
        store.insert_canary(
            conn, store.Canary(sealed.key.kek_id, sealed.key.data, sealed.nonce, sealed.ciphertext)
        )
    return usage


def rewrap(
    conn: Connection,
    ring: KeyRing,
    *,
    limit: int,
    skip: Collection[UUID] = (),
    random_bytes: RandomBytes = os.urandom,
) -> Batch:
    """Put some secrets under the primary key; ciphertexts stay, readers are not blocked.

    Several processes may do this at once: each takes rows that no other holds.

    Args:
        conn: a connection inside a transaction; commit after each batch.
        ring: the primary to move to and the keys to move from.
        limit: secrets to move at most.
        skip: secrets that an earlier batch found broken.
        random_bytes: a cryptographically strong source.
    """
    older = [key.id for key in ring.older]
    moved, broken = [], []
    for row in store.lock_for_rewrap(conn, older, limit=limit, skip=skip) if older else ():
        old = ring.find(row.kek_id)
        assert old is not None, "only rows under keys of this ring were asked for"
        try:
            wrapped = envelope.rewrap(
                old, ring.primary, row.place, WrappedKey(row.kek_id, row.wrapped_key), random_bytes
            )
        except Undecryptable:
            broken.append(row.id)
        else:
            moved.append((row.id, wrapped.data))
    if moved:
        store.store_rewrapped(conn, ring.primary.id, moved)
    return Batch(len(moved), store.count_under(conn, older) if older else 0, tuple(broken))


def retire(conn: Connection, ring: KeyRing, *, limit: int) -> Batch:
    """Forget, for some secrets, the wrap under the key before; after the last one the old keys open nothing.

    Args:
        conn: a connection inside a transaction; commit after each batch.
        ring: its primary is the key that stays.
        limit: secrets to change at most.

    Raises:
        Conflict: secrets are still under an old key only.
    """
    usage = store.usage(conn)
    old = sum(row.secrets for row in usage if row.kek_id != ring.primary.id)
    if old:
        raise Conflict(f"{old} secrets are still under an old key: run `hub keys rotate` first.")
    open_to_old = sum(row.secrets for row in usage if row.previous_kek_id is not None)
    closed = store.drop_previous(conn, ring.primary.id, limit=limit) if open_to_old else 0
    if closed == open_to_old:
        store.delete_canaries_except(conn, ring.primary.id)
    return Batch(closed, open_to_old - closed, ())


def _canary_place(kek_id: str) -> Place:
    return Place(_NOBODY, _NOBODY, "canary", kek_id, 1)


def _open_canary(canary: Canary, key: KeyEncryptionKey) -> None:
    sealed = Sealed(WrappedKey(canary.kek_id, canary.wrapped_key), canary.nonce, canary.ciphertext)
    try:
        text = envelope.open_sealed(key, _canary_place(canary.kek_id), sealed)
    except Undecryptable:
        text = b""
    if text != _CANARY_TEXT:
        raise ConfigError(
            f"The canary record of key {key.id} does not open: the database was damaged or tampered with."
            " Compare it with a backup before anything is written."
        )
