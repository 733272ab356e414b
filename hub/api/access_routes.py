"""Tenants, API keys, and who am I.

A key acts in its own tenant alone, also with the scope `admin`: it may open a new tenant, and is given that
tenant's first key, but another tenant that exists is to it as if there were none.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response

from hub.access import audit, store
from hub.access.issuing import issue_key, open_tenant
from hub.access.key_audit import note_created, note_revoked
from hub.access.principal import Principal
from hub.access.scopes import Scope
from hub.api import schemas
from hub.core.errors import FieldError, Invalid, NotFound
from hub.core.ids import Kind, format_id, parse_id, time_of
from hub.web.auth import requires
from hub.web.paging import Page, Paging, page_of
from hub.web.services import Hub

router = APIRouter(tags=["Access"])

Caller = Annotated[Principal, requires()]
Admin = Annotated[Principal, requires("admin")]

# What lies beyond is, in some time zone, a year that Python cannot name.
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


@router.get("/me", summary="Whose key is this?")
def read_me(hub: Hub, caller: Caller) -> schemas.Me:
    """Any valid key may ask."""
    with hub.engine.connect() as conn:
        row = store.get_tenant(conn, caller.tenant_id)
    return schemas.Me(
        tenant=_tenant(row),
        key_id=format_id(Kind.API_KEY, caller.key_id),
        scopes=sorted(scope.value for scope in caller.scopes),
        roles=sorted(caller.roles),
    )


@router.post("/tenants", status_code=201, summary="Open a tenant")
def create_tenant(body: schemas.TenantCreate, hub: Hub, caller: Admin) -> schemas.TenantCreated:
    """Any key with `admin` may. The answer holds the new tenant's first key, which cannot be had again.

    That key is the only way in: the caller's own sees nothing of the new tenant, nor of any other.
    """
    with hub.engine.begin() as conn:
        row = open_tenant(conn, body.name)
        key, token = issue_key(conn, row.id, "first key", [Scope.ADMIN])
        subject = format_id(Kind.TENANT, row.id)
        audit.note(conn, caller.tenant_id, caller.key_id, "tenant.opened", subject, {"name": row.name})
        # Of who opened it, the new tenant is told nothing.
        note_created(conn, key, actor=None)
    created = schemas.ApiKeyCreated(**_key(key).model_dump(), key=token.reveal())
    return schemas.TenantCreated(**_tenant(row).model_dump(), api_key=created)


@router.get("/tenants/{tenant_id}", summary="Read a tenant")
def read_tenant(tenant_id: str, hub: Hub, caller: Admin) -> schemas.Tenant:
    """Only the key's own."""
    key = parse_id(Kind.TENANT, tenant_id, field="path.tenant_id")
    if key != caller.tenant_id:
        raise NotFound(f"There is no tenant {tenant_id}.")
    with hub.engine.connect() as conn:
        return _tenant(store.get_tenant(conn, key))


@router.post("/api-keys", status_code=201, summary="Make an API key")
def create_api_key(body: schemas.ApiKeyCreate, hub: Hub, caller: Admin) -> schemas.ApiKeyCreated:
    """The key's text is in this answer and cannot be had again, so no Idempotency-Key is kept for it."""
    if body.expires_at is not None and not datetime.now(UTC) < body.expires_at < _LATEST:
        message = "must be in the future, before the year 9999"
        raise Invalid(f"expires_at {message}.", fields=(FieldError("expires_at", message),))
    with hub.engine.begin() as conn:
        row, token = issue_key(
            conn,
            caller.tenant_id,
            body.name,
            frozenset(body.scopes),
            expires_at=body.expires_at,
            roles=body.roles,
        )
        note_created(conn, row, actor=caller.key_id)
    return schemas.ApiKeyCreated(**_key(row).model_dump(), key=token.reveal())


@router.get("/api-keys", summary="List API keys")
def list_api_keys(hub: Hub, caller: Admin, paging: Paging) -> Page[schemas.ApiKey]:
    """Newest first, revoked and expired ones too."""
    with hub.engine.connect() as conn:
        rows = store.page_keys(conn, caller.tenant_id, after=paging.after, limit=paging.fetch)
    page, cursor = page_of(rows, paging.limit, lambda row: row.id)
    return Page(data=[_key(row) for row in page], next_cursor=cursor)


@router.delete("/api-keys/{key_id}", status_code=204, summary="Revoke an API key")
def revoke_api_key(key_id: str, hub: Hub, caller: Admin) -> Response:
    """It stops working within two seconds, for good; the row stays in the list."""
    with hub.engine.begin() as conn:
        row = store.revoke_key(conn, caller.tenant_id, parse_id(Kind.API_KEY, key_id, field="path.key_id"))
        note_revoked(conn, row, actor=caller.key_id)
    return Response(status_code=204)


@router.get("/audit", summary="Read the audit log")
def list_audit(
    hub: Hub,
    caller: Admin,
    paging: Paging,
    subject: Annotated[
        str | None, Query(max_length=128, description="Only what happened to this: an id.")
    ] = None,
    action: Annotated[
        str | None, Query(max_length=128, description="Only this, such as `execution.refused`.")
    ] = None,
) -> Page[schemas.AuditEntry]:
    """Newest first.

    Every change of integrations, schedules, API keys and the like, every test of an integration, and every call that
    access rules refused.
    """
    with hub.engine.connect() as conn:
        rows = audit.list_entries(
            conn, caller.tenant_id, after=paging.after, limit=paging.fetch, subject=subject, action=action
        )
    page, cursor = page_of(rows, paging.limit, lambda row: row.id)
    entries = [
        schemas.AuditEntry(
            id=format_id(Kind.AUDIT, row.id),
            at=time_of(row.id),
            actor=None if row.actor is None else format_id(Kind.API_KEY, row.actor),
            action=row.action,
            subject=row.subject,
            details=row.details,
        )
        for row in page
    ]
    return Page(data=entries, next_cursor=cursor)


def _tenant(row: store.Tenant) -> schemas.Tenant:
    return schemas.Tenant(id=format_id(Kind.TENANT, row.id), name=row.name, created_at=row.created_at)


def _key(row: store.ApiKey) -> schemas.ApiKey:
    return schemas.ApiKey(
        id=format_id(Kind.API_KEY, row.id),
        name=row.name,
        scopes=row.scopes,
        roles=row.roles,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
