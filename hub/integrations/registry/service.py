"""The registry: creates, changes and deletes integrations, their secrets with them, in the caller's transaction.

Every change raises the tenant's configuration version, so that workers take it up with their next claim. A stored
secret stays with the origin that it was given for: who may write an integration may not read its secrets, and must
not be able to have them sent to an address of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.access import audit
from hub.access.store import bump_config_version
from hub.core.errors import Conflict, FieldError, Invalid, NotFound
from hub.core.ids import Kind, format_id, new_uuid
from hub.integrations.auth import login_call, oauth2
from hub.integrations.registry import store
from hub.integrations.registry.documents import differences, document_of
from hub.integrations.registry.kinds import CALLABLE
from hub.integrations.target import TLS_KEY, secret_ids
from hub.integrations.transports.registry import transport_of
from hub.net import url as urls
from hub.vault.vault import NewSecret

if TYPE_CHECKING:
    import uuid
    from collections.abc import Hashable, Mapping

    from sqlalchemy import Connection, Row

    from hub.integrations.registry.definition import Definition
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
    row = store.insert_integration(
        conn,
        {
            **definition.columns,
            "next_check_in": _first_check(definition.columns["health_check"], definition.columns["status"]),
            "id": new_uuid(),
            "tenant_id": tenant_id,
            "secret_ids": _put(conn, vault, tenant_id, definition),
            "created_by": created_by,
        },
    )
    store.insert_version(conn, row, document_of(row), created_by)
    audit.note(conn, tenant_id, created_by, "integration.created", _public(row), {"name": row.name})
    bump_config_version(conn, tenant_id)
    return row


def change(
    conn: Connection,
    vault: Vault,
    current: Row[Any],
    definition: Definition,
    *,
    changed_by: uuid.UUID | None,
    action: str = "integration.changed",
) -> Row[Any]:
    """Change an integration. When it may be called again, release what waited for it.

    Args:
        conn: a connection inside a transaction.
        vault: takes new secrets and forgets old ones.
        current: as it was read when the definition was checked.
        definition: what changes.
        changed_by: the API key; None: an operator.
        action: what the audit log calls it.

    Raises:
        Conflict: it was changed meanwhile, or the new name is taken.
        Invalid: it moves to another origin and a stored secret was not given again.
    """
    check_secrets_stay(current, definition)
    columns = dict(definition.columns)
    if definition.needs is not None:
        columns["secret_ids"] = _replace(conn, vault, current, definition)
    if {"health_check", "status"} & columns.keys():
        check = columns.get("health_check", current.health_check)
        columns["next_check_in"] = _first_check(check, columns.get("status", current.status))
    row = store.update_integration(conn, current.tenant_id, current.id, current.version, columns)
    if row is None:
        raise _changed(None)
    document = document_of(row)
    store.insert_version(conn, row, document, changed_by)
    changes = [one["path"] for one in differences(document_of(current), document)]
    details = {"version": row.version, "changed": changes[:100], "secrets": sorted(definition.secrets)}
    audit.note(conn, row.tenant_id, changed_by, action, _public(row), details)
    bump_config_version(conn, current.tenant_id)
    return row


def resumes(before: Row[Any], after: Row[Any]) -> bool:
    """May it be called again, when it could not before?"""
    return before.status not in CALLABLE and after.status in CALLABLE


def remove(
    conn: Connection,
    vault: Vault,
    tenant_id: uuid.UUID,
    integration_id: uuid.UUID,
    *,
    version: int | None,
    removed_by: uuid.UUID | None,
) -> None:
    """Delete an integration and its secrets; its executions stay as history, waiting ones will fail.

    Raises:
        NotFound: there is none.
        Conflict: it is of another version.
    """
    row = store.delete_integration(conn, tenant_id, integration_id, version)
    if row is None:
        raise _changed(get(conn, tenant_id, integration_id).version)
    vault.delete(conn, tenant_id, list(secret_ids(row).values()))
    audit.note(conn, tenant_id, removed_by, "integration.deleted", _public(row), {"name": row.name})
    bump_config_version(conn, tenant_id)


def check_secrets_stay(current: Row[Any], definition: Definition) -> None:
    """Refuse to take stored secrets along to another origin (RFC 6454, 4).

    Raises:
        Invalid: with one field for every secret that has to be given again.
    """
    places = moved(current, definition)
    kept = set(secret_ids(current))
    if not places or not kept:
        return
    why = f"a stored secret does not follow `{places[0]}` to another scheme, host or port"
    if definition.needs is None:
        names = " and ".join(f"`{name}`" for name in sorted(kept))
        faults = [FieldError(places[0], f"{why}: send `auth` with its {names} in the same request")]
    else:
        missing = kept & definition.needs - definition.secrets.keys()
        faults = [
            FieldError(name if name == TLS_KEY else f"auth.{name}", f"is required: {why}")
            for name in sorted(missing)
        ]
    if faults:
        raise Invalid.of(faults)


def moved(current: Row[Any], definition: Definition) -> list[str]:
    """The fields by which a change has secrets sent to another place than before."""
    columns = definition.columns
    before = _places(current, current.base_url, current.auth, current.settings)
    after = _places(
        current,
        columns.get("base_url", current.base_url),
        columns.get("auth", current.auth),
        columns.get("settings", current.settings),
    )
    known = set(before.values())
    return [
        path
        for path, place in after.items()
        if (place != before[path] if path in before else place not in known)
    ]


def _places(
    current: Row[Any], base_url: str, auth: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Hashable]:
    """Where secrets are sent, by the field that says so."""
    schemes = {"https": 443, "http": 80, **_schemes(current)}
    found: dict[str, Hashable] = {"base_url": _origin(base_url, schemes)}
    if settings.get("use_wsdl_address"):
        # The address is in a description that may be anybody's.
        found["settings.use_wsdl_address"] = str(settings.get("wsdl"))
    if auth.get("mode") == "oauth2":
        found |= {f"auth.{name}": _origin(url, schemes) for name, url in oauth2.destinations(auth).items()}
    elif auth.get("mode") == "login_call":
        url = login_call.destinations(auth).get("url", base_url)
        found["auth.url"] = _origin(url, schemes)
    return found


def _schemes(current: Row[Any]) -> Mapping[str, int]:
    try:
        return transport_of(current.type, current.protocol, current.settings).schemes
    except Invalid:
        # The package that brought its transport is gone: addresses are compared as they are written.
        return {}


def _origin(url: str, schemes: Mapping[str, int]) -> tuple[str, str, int] | str:
    try:
        target = urls.parse(url, schemes)
    except ValueError:
        return url
    return target.scheme, target.host, target.port


def _put(conn: Connection, vault: Vault, tenant_id: uuid.UUID, definition: Definition) -> dict[str, str]:
    names = list(definition.secrets)
    new = [
        NewSecret(tenant_id, _KIND, name if name == TLS_KEY else f"auth.{name}", definition.secrets[name])
        for name in names
    ]
    return dict(zip(names, map(str, vault.put_many(conn, new)), strict=True))


def _replace(conn: Connection, vault: Vault, current: Row[Any], definition: Definition) -> dict[str, str]:
    """New secrets take the place of old ones; those that were not sent stay if they are still needed."""
    assert definition.needs is not None
    kept = {
        name: secret_id
        for name, secret_id in secret_ids(current).items()
        if name in definition.needs and name not in definition.secrets
    }
    gone = [secret_id for name, secret_id in secret_ids(current).items() if name not in kept]
    new = _put(conn, vault, current.tenant_id, definition)
    if gone:
        vault.delete(conn, current.tenant_id, gone)
    return {name: str(secret_id) for name, secret_id in kept.items()} | new


def _first_check(check: Mapping[str, Any] | None, status: str) -> float | None:
    """Seconds until the first health check; None when there is none to make."""
    return None if check is None or status not in CALLABLE else 0.0


def _changed(version: int | None) -> Conflict:
    now = "" if version is None else f" It is at version {version} now."
    return Conflict(f"The integration was changed meanwhile.{now} Read it again, then repeat your change.")


def _public(row: Row[Any]) -> str:
    return format_id(Kind.INTEGRATION, row.id)
