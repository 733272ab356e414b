"""Making tenants and API keys: checks the input, makes ids and secrets, writes the rows."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hub.access import store
from hub.access.keys import SECRET_BYTES, make_key
from hub.core.errors import FieldError, Invalid
from hub.core.ids import new_uuid

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Connection

    from hub.access.scopes import Scope
    from hub.access.store import ApiKey, Tenant
    from hub.core.secret import Secret

_TENANT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_MAX_KEY_NAME = 100
_ROLE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,62}[A-Za-z0-9])?")
_MAX_ROLES = 20


def open_tenant(conn: Connection, name: str) -> Tenant:
    """Make a tenant.

    Args:
        conn: a connection inside a transaction.
        name: 1 to 63 characters: lower-case letters, digits, and `.`, `_`, `-` between them.

    Raises:
        Invalid: the name is of another form.
        Conflict: it is taken.
    """
    if _TENANT_NAME.fullmatch(name) is None:
        message = "must be 1 to 63 lower-case letters and digits, with . _ - between them"
        raise Invalid(f"The tenant's name {message}.", fields=(FieldError("name", message),))
    return store.create_tenant(conn, new_uuid(), name)


def issue_key(
    conn: Connection,
    tenant_id: UUID,
    name: str,
    scopes: Collection[Scope],
    *,
    expires_at: datetime | None = None,
    roles: Collection[str] = (),
) -> tuple[ApiKey, Secret]:
    """Make an API key.

    Args:
        conn: a connection inside a transaction.
        tenant_id: an existing tenant.
        name: says who uses it; 1 to 100 printable characters.
        scopes: what it may do.
        expires_at: when it stops working; None is never.
        roles: names that integrations' access rules may let in; at most 20.

    Returns:
        The row, and the key's text, which cannot be had again.

    Raises:
        Invalid: the name or a role is of another form.
    """
    if len(roles) > _MAX_ROLES or not all(_ROLE.fullmatch(role) for role in roles):
        message = (
            f"must be at most {_MAX_ROLES} names of 1 to 64 letters and digits, with . _ : - between them"
        )
        raise Invalid(f"The key's roles {message}.", fields=(FieldError("roles", message),))
    if not (name.isprintable() and 0 < len(name.strip()) <= len(name) <= _MAX_KEY_NAME):
        message = f"must be 1 to {_MAX_KEY_NAME} printable characters"
        raise Invalid(f"The key's name {message}.", fields=(FieldError("name", message),))
    key_id = new_uuid()
    token, secret_hash = make_key(key_id, os.urandom(SECRET_BYTES))
    row = store.insert_key(
        conn,
        key_id=key_id,
        tenant_id=tenant_id,
        name=name,
        secret_hash=secret_hash,
        scopes=[scope.value for scope in scopes],
        expires_at=expires_at,
        roles=roles,
    )
    return row, token
