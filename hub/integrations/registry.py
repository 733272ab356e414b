"""The registry: creates, changes and deletes integrations, their secrets with them, in the caller's transaction.

Every change raises the tenant's configuration version, so that workers take it up with their next claim. A stored
secret stays with the origin that it was given for: who may write an integration may not read its secrets, and must
not be able to have them sent to an address of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.access.store import bump_config_version
from hub.core.errors import Conflict, FieldError, Invalid, NotFound
from hub.core.ids import Kind, format_id, new_uuid
from hub.integrations import store
from hub.integrations.auth import SECRETS
from hub.integrations.directory import secret_ids
from hub.net import url as urls
from hub.vault.vault import NewSecret

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from hub.integrations.definition import Definition
    from hub.vault.vault import Vault

_KIND = "integration"


def get(conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID) -> Row[Any]:
    """One integration of a tenant.

    Raises:
        NotFound: there is none.
    """
    row = store.find_integration(conn, tenant_id, integration_id)
    if row is None:
        raise NotFound(f"There is no integration {format_id(Kind.INTEGRATION, integration_id)}.")
    return row


def create(
    conn: Connection,
    vault: Vault,
    tenant_id: uuid.UUID,
    definition: Definition,
    *,
    created_by: uuid.UUID | None,
) -> Row[Any]:
    """Write a new integration and its secrets.

    Raises:
        Conflict: the name is taken.
    """
    secrets = _put(conn, vault, tenant_id, definition)
    columns = {
        **definition.columns,
        "next_check_in": _first_check(definition.columns["health_check"], definition.columns["status"]),
    }
    row = store.insert_integration(
        conn,
        {
            **columns,
            "id": new_uuid(),
            "tenant_id": tenant_id,
            "secret_ids": secrets,
            "created_by": created_by,
        },
    )
    bump_config_version(conn, tenant_id)
    return row


def change(
    conn: Connection, vault: Vault, current: Row[Any], definition: Definition
) -> tuple[Row[Any], list[uuid.UUID]]:
    """Change an integration.

    Args:
        conn: a connection inside a transaction.
        vault: takes new secrets and forgets old ones.
        current: as it was read when the definition was checked.
        definition: what changes.

    Returns:
        Its new form, and the executions that waited for its status and are due now.

    Raises:
        Conflict: it was changed meanwhile, or the new name is taken.
        Invalid: it moves to another origin and a stored secret was not given again.
    """
    _check_secrets_stay(current, definition)
    columns = dict(definition.columns)
    if definition.mode is not None:
        columns["secret_ids"] = _replace(conn, vault, current, definition)
    if {"health_check", "status"} & columns.keys():
        check = columns.get("health_check", current.health_check)
        columns["next_check_in"] = _first_check(check, columns.get("status", current.status))
    row = store.update_integration(conn, current.tenant_id, current.id, current.version, columns)
    if row is None:
        raise _changed(None)
    bump_config_version(conn, current.tenant_id)
    resumed = current.status not in store.CALLABLE and row.status in store.CALLABLE
    return row, store.release_held(conn, row.id) if resumed else []


def remove(
    conn: Connection, vault: Vault, tenant_id: uuid.UUID, integration_id: uuid.UUID, *, version: int | None
) -> list[uuid.UUID]:
    """Delete an integration and its secrets; its executions stay as history, waiting ones will fail.

    Returns:
        The executions that were held for it and are due now, to fail with that reason.

    Raises:
        NotFound: there is none.
        Conflict: it is of another version.
    """
    row = store.delete_integration(conn, tenant_id, integration_id, version)
    if row is None:
        raise _changed(get(conn, tenant_id, integration_id).version)
    vault.delete(conn, tenant_id, list(secret_ids(row).values()))
    bump_config_version(conn, tenant_id)
    return store.release_held(conn, integration_id)


def _check_secrets_stay(current: Row[Any], definition: Definition) -> None:
    """Refuse to take stored secrets along to another origin (RFC 6454, 4)."""
    base_url = definition.columns.get("base_url", current.base_url)
    if not secret_ids(current) or _origin(base_url) == _origin(current.base_url):
        return
    why = "a stored secret does not follow `base_url` to another scheme, host or port"
    if definition.mode is None:
        names = " and ".join(f"`{name}`" for name in SECRETS[current.auth["mode"]])
        faults = [FieldError("base_url", f"{why}: send `auth` with its {names} in the same request")]
    else:
        missing = [name for name in SECRETS[definition.mode] if name not in definition.secrets]
        faults = [FieldError(f"auth.{name}", f"is required: {why}") for name in missing]
    if faults:
        raise Invalid(
            "; ".join(f"{fault.path}: {fault.message}" for fault in faults) + ".", fields=tuple(faults)
        )


def _origin(base_url: str) -> tuple[str, str, int]:
    target = urls.parse(base_url)
    return target.scheme, target.host, target.port


def _put(conn: Connection, vault: Vault, tenant_id: uuid.UUID, definition: Definition) -> dict[str, str]:
    names = list(definition.secrets)
    new = [NewSecret(tenant_id, _KIND, f"auth.{name}", definition.secrets[name]) for name in names]
    return dict(zip(names, map(str, vault.put_many(conn, new)), strict=True))


def _replace(conn: Connection, vault: Vault, current: Row[Any], definition: Definition) -> dict[str, str]:
    """New secrets take the place of old ones; those that were not sent stay if the mode still has them."""
    same_mode = definition.mode == current.auth["mode"]
    kept = {
        name: secret_id
        for name, secret_id in secret_ids(current).items()
        if same_mode and name not in definition.secrets
    }
    gone = [secret_id for name, secret_id in secret_ids(current).items() if name not in kept]
    new = _put(conn, vault, current.tenant_id, definition)
    if gone:
        vault.delete(conn, current.tenant_id, gone)
    return {name: str(secret_id) for name, secret_id in kept.items()} | new


def _first_check(check: Mapping[str, Any] | None, status: str) -> float | None:
    """Seconds until the first health check; None when there is none to make."""
    return None if check is None or status not in store.CALLABLE else 0.0


def _changed(version: int | None) -> Conflict:
    now = "" if version is None else f" It is at version {version} now."
    return Conflict(f"The integration was changed meanwhile.{now} Read it again, then repeat your change.")
