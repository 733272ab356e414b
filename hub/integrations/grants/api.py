"""Routes of grants: for the API (`router`), and for the browser that comes back from a provider (`public`)."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from random import Random
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Row

from hub.access import audit
from hub.access.principal import Principal
from hub.core.clock import SystemClock
from hub.core.ids import Kind, format_id, parse_id
from hub.integrations.grants import authorization, device, page, revocation, store
from hub.integrations.grants.authorization import CALLBACK_PATH, NotGranted, load_holder
from hub.integrations.grants.holder import Holder
from hub.integrations.grants.keeper import Grants
from hub.integrations.grants.schemas import Authorization, AuthorizeIn, Disconnected, GrantView, Polled
from hub.net.session import GuardedSession
from hub.web.auth import requires
from hub.web.services import Hub

router = APIRouter(tags=["Integrations"])
public = APIRouter(include_in_schema=False)

Reader = Annotated[Principal, requires("integrations:read")]
Writer = Annotated[Principal, requires("integrations:write")]

_lock = threading.Lock()
_MAX_PARAMETER_CHARACTERS = 8192


def grants_of(request: Request, hub: Hub) -> Grants:
    """The application's keeper of grants: `app.state.grants`, made on first use where nobody has set it."""
    state = request.app.state
    with _lock:
        if not hasattr(state, "grants"):
            session = GuardedSession(hub.policy)
            state.grants = Grants(hub.engine, hub.vault, session, SystemClock(), Random(), "api")  # noqa: S311 - jitter
        found: Grants = state.grants
        return found


@router.post("/integrations/{integration_id}/authorize", summary="Connect an integration")
def authorize(
    integration_id: str, caller: Writer, hub: Hub, request: Request, body: AuthorizeIn | None = None
) -> Authorization:
    """Begin to have a person grant access; also again, in place, when the provider has taken it back.

    With `auth.grant` `authorization_code` the answer holds the address for the person's browser, good for one use and
    ten minutes. With `device` it holds the code to show.
    """
    grants = grants_of(request, hub)
    holder, _ = load_holder(grants, caller.tenant_id, _integration(integration_id))
    if holder.grant == "device":
        with hub.slow.place(caller.tenant_id):
            shown = device.start(grants, holder, started_by=caller.key_id)
        return Authorization(
            kind="device",
            user_code=shown.user_code,
            verification_uri=shown.verification_uri,
            verification_uri_complete=shown.complete_uri,
            interval=shown.interval,
            expires_at=shown.expires_at,
        )
    own = hub.settings.public_url or str(request.base_url).rstrip("/")
    started = authorization.start(
        grants,
        holder,
        public_url=own,
        return_url=None if body is None else body.return_url,
        started_by=caller.key_id,
    )
    return Authorization(kind="redirect", url=started.url, expires_at=started.expires_at)


@router.post("/integrations/{integration_id}/authorize/poll", summary="Is the person done?")
def poll_device(integration_id: str, caller: Writer, hub: Hub, request: Request) -> Polled:
    """For `auth.grant` `device`. Asking more often than `interval` says does no harm: the provider is not asked."""
    with hub.slow.place(caller.tenant_id):
        done = device.poll(grants_of(request, hub), caller.tenant_id, _integration(integration_id))
    return Polled(state="connected" if done else "pending")


@router.get("/integrations/{integration_id}/grant", summary="Read a grant")
def read_grant(integration_id: str, caller: Reader, hub: Hub, request: Request) -> GrantView:
    """What the provider has granted, and what went wrong last. Tokens are never shown."""
    grants = grants_of(request, hub)
    holder, _ = load_holder(grants, caller.tenant_id, _integration(integration_id))
    return _read(grants, holder)


@router.post("/integrations/{integration_id}/grant/refresh", summary="Renew a token now")
def refresh_grant(integration_id: str, caller: Writer, hub: Hub, request: Request) -> GrantView:
    """Ask the provider now, whatever went wrong before."""
    grants = grants_of(request, hub)
    holder, _ = load_holder(grants, caller.tenant_id, _integration(integration_id))
    with hub.slow.place(caller.tenant_id):
        ok = False
        try:
            grants.refresh(holder)
            ok = True
        finally:
            # The provider was asked, whatever it said.
            subject = format_id(Kind.INTEGRATION, holder.id)
            with grants.engine.begin() as conn:
                audit.note(
                    conn, holder.tenant_id, caller.key_id, "integration.token_refreshed", subject, {"ok": ok}
                )
    return _read(grants, holder)


@router.delete("/integrations/{integration_id}/grant", summary="Disconnect an integration")
def delete_grant(integration_id: str, caller: Writer, hub: Hub, request: Request) -> Disconnected:
    """Forget the tokens, and have the provider revoke them where `auth.revocation_url` is known."""
    grants = grants_of(request, hub)
    holder, _ = load_holder(grants, caller.tenant_id, _integration(integration_id))
    with hub.slow.place(holder.tenant_id) if revocation.asks(holder.parameters) else nullcontext():
        with grants.engine.begin() as conn:
            found = revocation.detach(conn, grants.vault, holder.tenant_id, holder.id)
            subject = format_id(Kind.INTEGRATION, holder.id)
            audit.note(conn, holder.tenant_id, caller.key_id, "integration.disconnected", subject)
        grants.forget(holder.id)
        fault = revocation.revoke(grants.asker.session, grants.asker.clock, found)
    return Disconnected(revoked=fault is None, detail=fault)


@public.get(CALLBACK_PATH)
def come_back(request: Request, hub: Hub) -> HTMLResponse:
    """Where providers send people back to."""
    pairs = request.query_params.multi_items()
    # A parameter that comes twice can be read in two ways (RFC 6749, 3.1).
    query = {
        name: value
        for name, value in pairs
        if len(value) <= _MAX_PARAMETER_CHARACTERS and sum(other == name for other, _ in pairs) == 1
    }
    try:
        with hub.slow.place("callback"):
            done = authorization.finish(grants_of(request, hub), query)
    except NotGranted as error:
        return HTMLResponse(page.failed(error.detail, error.return_url), error.status, page.HEADERS)
    return HTMLResponse(page.connected(done.name, done.return_url), headers=page.HEADERS)


def _read(grants: Grants, holder: Holder) -> GrantView:
    with grants.engine.connect() as conn:
        row = store.find_grant(conn, holder.tenant_id, holder.id)
    return grant_view(holder, row)


def grant_view(holder: Holder, row: Row[Any] | None) -> GrantView:
    """A grant as it is shown."""
    fields = (
        "state",
        "scopes",
        "obtained_at",
        "expires_at",
        "metadata",
        "last_error",
        "version",
        "updated_at",
    )
    empty = {"state": "none", "scopes": [], "metadata": {}, "version": 0}
    shown = {name: empty.get(name) if row is None else getattr(row, name) for name in fields}
    given = row is not None and row.refresh_secret_id is not None
    renewable = not holder.by_people or given or holder.given_refresh_token is not None
    return GrantView(integration_id=format_id(Kind.INTEGRATION, holder.id), renewable=renewable, **shown)


def _integration(text: str) -> UUID:
    return parse_id(Kind.INTEGRATION, text, field="integration_id")
