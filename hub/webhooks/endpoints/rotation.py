"""New keys for an endpoint; the ones before sign as well for a while, so that its receiver can change over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.errors import Conflict
from hub.core.secret import Secret
from hub.webhooks.endpoints import store
from hub.webhooks.endpoints.overlap import live, replaced, still
from hub.webhooks.endpoints.service import Keeping, save
from hub.webhooks.signing import decode_secret, new_keypair, new_secret

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from hub.access.principal import Principal
    from hub.vault.vault import Vault
    from hub.webhooks.endpoints.schemas import KeyRotation, SecretRotation

_PRUNED = 1_000


def rotate_secret(
    conn: Connection,
    caller: Principal,
    endpoint_id: uuid.UUID,
    body: SecretRotation,
    *,
    vault: Vault,
    now: datetime,
) -> tuple[Row[Any], Secret]:
    """Give an endpoint a new signing secret. Secrets that have ended, or are too many, leave the vault.

    Raises:
        NotFound: the tenant has no such endpoint.
        Invalid: the secret is malformed.
    """
    secret = new_secret() if body.secret is None else Secret(body.secret)
    decode_secret(secret)
    before = store.find_endpoint(conn, caller.tenant_id, endpoint_id, lock=True)
    keeping = Keeping(conn, caller.tenant_id, vault)
    older, ended = replaced(
        before.previous_secrets, before.secret_id, None, now=now, overlap=body.overlap_seconds
    )
    keeping.unused(*ended)
    values = {"secret_id": keeping.put("signing_secret", secret), "previous_secrets": older}
    return save(conn, caller, before, values, keeping)[0], secret


def rotate_key(
    conn: Connection,
    caller: Principal,
    endpoint_id: uuid.UUID,
    body: KeyRotation,
    *,
    vault: Vault,
    now: datetime,
) -> Row[Any]:
    """Give an endpoint a new ed25519 key.

    Raises:
        NotFound: the tenant has no such endpoint.
        Conflict: it has none.
    """
    before = store.find_endpoint(conn, caller.tenant_id, endpoint_id, lock=True)
    if before.key_id is None:
        raise Conflict("The endpoint has no ed25519 key: change it with `asymmetric` set to true.")
    keeping = Keeping(conn, caller.tenant_id, vault)
    older, ended = replaced(
        before.previous_keys, before.key_id, before.public_key, now=now, overlap=body.overlap_seconds
    )
    keeping.unused(*ended)
    private, public = new_keypair()
    values = {
        "key_id": keeping.put("private_key", private),
        "public_key": public,
        "previous_keys": older,
    }
    return save(conn, caller, before, values, keeping)[0]


def end_overlap(
    conn: Connection, caller: Principal, endpoint_id: uuid.UUID, column: str, *, vault: Vault
) -> Row[Any]:
    """Let only the current key sign from now on.

    Args:
        conn: a connection inside a transaction of its own.
        caller: who asks.
        endpoint_id: which endpoint.
        column: `previous_secrets` or `previous_keys`.
        vault: where they leave.

    Raises:
        NotFound: the tenant has no such endpoint.
    """
    before = store.find_endpoint(conn, caller.tenant_id, endpoint_id, lock=True)
    older = live(getattr(before, column))
    if not older:
        return before
    keeping = Keeping(conn, caller.tenant_id, vault)
    keeping.unused(*(one.secret_id for one in older))
    return save(conn, caller, before, {column: []}, keeping)[0]


def drop_ended(conn: Connection, vault: Vault, now: datetime) -> int:
    """Delete keys whose overlap is over, of up to a thousand endpoints of all tenants.

    Returns:
        How many were deleted.
    """
    dropped = 0
    for row in store.lock_ended(conn, now, limit=_PRUNED):
        secrets, ended_secrets = still(row.previous_secrets, now)
        keys, ended_keys = still(row.previous_keys, now)
        store.keep_old(conn, row.id, secrets, keys)
        dropped += vault.delete(conn, row.tenant_id, [*ended_secrets, *ended_keys])
    return dropped
