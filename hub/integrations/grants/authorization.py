"""The grant that a person gives in a browser (RFC 6749, 4.1): sending there, and coming back.

Promises: `state` is random, stored as a hash, good for one use and ten minutes, and belongs to one integration of one
tenant; the code is worth nothing without the PKCE verifier in our vault (RFC 7636, S256); an answer of another
authorization server than the one that was asked is refused where `issuer` is set (RFC 9207); settings that changed
while the person was away are refused. An integration is connected again in place: new tokens, same id.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from hub.access import audit
from hub.core.errors import Conflict, FieldError, HubError, Invalid, NotFound
from hub.core.ids import Kind, format_id, new_uuid
from hub.core.secret import Secret
from hub.integrations.auth.oauth2 import OAuth2Auth
from hub.integrations.grants import request_store, store
from hub.integrations.grants.answer import Tokens, masked, read_oauth
from hub.integrations.grants.assertions import UnusableKey
from hub.integrations.grants.grant import Grant
from hub.integrations.grants.holder import Holder, obtains
from hub.integrations.grants.oauth2 import Client
from hub.integrations.grants.refresh import token_values
from hub.net.outcome import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any
    from uuid import UUID

    from sqlalchemy import Connection, Row

    from hub.integrations.grants.keeper import Grants

LIFE_SECONDS = 600.0
REQUEST_KIND = "authorization"
CALLBACK_PATH = "/oauth/callback"
_EXPIRED_AT_ONCE = 100


class NotGranted(HubError):
    """The person came back without a grant; the sentence says why."""

    status = 400
    code = "not_granted"
    title = "The integration was not connected"

    def __init__(self, detail: str, return_url: str | None = None) -> None:
        super().__init__(detail)
        self.return_url = return_url


@dataclass(frozen=True, slots=True)
class Started:
    """Where to send the person, and until when."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Connected:
    """An integration that has a grant now."""

    integration_id: UUID
    name: str
    return_url: str | None


def load_holder(grants: Grants, tenant_id: UUID, integration_id: UUID) -> tuple[Holder, str]:
    """An integration of a tenant as a holder, and its name.

    Raises:
        NotFound: there is none.
        Conflict: its mode obtains nothing.
    """
    with grants.engine.connect() as conn:
        row = store.find_integration(conn, tenant_id, integration_id)
        if row is None:
            raise NotFound(f"There is no integration {format_id(Kind.INTEGRATION, integration_id)}.")
        if not obtains(row.auth):
            raise Conflict(f"The integration's mode `{row.auth['mode']}` needs no grant.")
        ids = [(tenant_id, secret_id) for secret_id in Holder.of(row, {}).secret_ids.values()]
        return Holder.of(row, grants.vault.get_many(conn, ids)), row.name


def start(
    grants: Grants,
    holder: Holder,
    *,
    public_url: str,
    return_url: str | None = None,
    started_by: UUID | None = None,
) -> Started:
    """Begin: make the address to send a person to.

    Args:
        grants: of this process.
        holder: the integration.
        public_url: how browsers reach this hub.
        return_url: where the last page leads back to; of the origin of `public_url`.
        started_by: the API key that asks for it.

    Raises:
        Conflict: the integration's grant is not given in a browser.
        Invalid: `return_url` leads elsewhere.
    """
    if holder.grant != "authorization_code":
        raise Conflict(
            "Only an integration with `auth.grant` `authorization_code` is connected in a browser."
        )
    check_return_url(return_url, public_url)
    settings = OAuth2Auth.model_validate(dict(holder.parameters))
    state, verifier = secrets.token_urlsafe(32), Secret(secrets.token_urlsafe(48))
    redirect_uri = public_url + CALLBACK_PATH
    with grants.engine.begin() as conn:
        forget_expired(grants, conn)
        store.open_grant(conn, holder.tenant_id, holder.id)
        secret_id = grants.vault.put(conn, holder.tenant_id, REQUEST_KIND, "code_verifier", verifier)
        row = request_store.insert_request(
            conn,
            {
                "id": new_uuid(),
                "tenant": holder.tenant_id,
                "integration": holder.id,
                "state_hash": _hash(state),
                "secret": secret_id,
                "basis": holder.basis,
                "started_by": started_by,
                "redirect_uri": redirect_uri,
                "return_url": return_url,
                "interval": None,
                "life": LIFE_SECONDS,
            },
        )
    query = {
        **settings.authorize_parameters,
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    if settings.scopes:
        query["scope"] = settings.scope_separator.join(settings.scopes)
    if settings.pkce:
        query |= {"code_challenge": _challenge(verifier), "code_challenge_method": "S256"}
    url = str(settings.authorize_url)
    return Started(f"{url}{'&' if '?' in url else '?'}{urlencode(query)}", row.expires_at)


def finish(grants: Grants, query: Mapping[str, str]) -> Connected:
    """A person came back: exchange the code, keep the tokens.

    Args:
        grants: of this process.
        query: as the provider wrote it into the address.

    Raises:
        NotGranted: for whatever reason; the sentence is for the person.
    """
    with grants.engine.begin() as conn:
        request = request_store.take_request(conn, _hash(query.get("state", "")))
        if request is not None:
            found = grants.vault.get_many(conn, [(request.tenant_id, request.secret_id)])
            grants.vault.delete(conn, request.tenant_id, [request.secret_id])
    if request is None or not request.fresh:
        raise NotGranted("This link was used already, or it is too old. Start again from where you came.")
    try:
        holder, name = load_holder(grants, request.tenant_id, request.integration_id)
    except HubError as error:
        raise NotGranted(error.detail, request.return_url) from None
    verifier = found.get(request.secret_id)
    fault = (
        _fault(holder, request.basis, query)
        if verifier is not None
        else "The hub lost its part of the proof."
    )
    if fault is None and verifier is not None:
        fault = _exchange(grants, holder, query["code"], verifier, request)
    if fault is not None:
        with grants.engine.begin() as conn:
            store.note_error(conn, holder.tenant_id, holder.id, fault)
        raise NotGranted(fault, request.return_url)
    return Connected(holder.id, name, request.return_url)


def keep(grants: Grants, holder: Holder, tokens: Tokens, started_by: UUID | None) -> None:
    """Store what a person granted, in place of what there was; what waited can go on."""
    with grants.engine.begin() as conn:
        store.open_grant(conn, holder.tenant_id, holder.id)
        row = store.find_grant(conn, holder.tenant_id, holder.id, lock=True)
        if row is None:
            return
        values = token_values(conn, grants.vault, holder, tokens, grants.rng, kept=None)
        store.replace_tokens(conn, holder.id, values=values)
        store.note_account(conn, holder.tenant_id, holder.id)
        old = Grant.of(row)
        gone = [one for one in (old.access_id, old.refresh_id) if one is not None]
        grants.vault.delete(conn, holder.tenant_id, gone)
        subject = format_id(Kind.INTEGRATION, holder.id)
        audit.note(conn, holder.tenant_id, started_by, "integration.connected", subject)
        grants.listener.restored(conn, holder.tenant_id, holder.id)
    grants.forget(holder.id)


def forget_expired(grants: Grants, conn: Connection) -> None:
    """Take out requests of people who did not come back."""
    for row in request_store.drop_expired(conn, _EXPIRED_AT_ONCE):
        grants.vault.delete(conn, row.tenant_id, [row.secret_id])


def check_return_url(url: str | None, allowed: str) -> None:
    """Refuse to lead people from our page to a stranger's.

    Raises:
        Invalid: it is of another origin than `allowed`.
    """
    if url is None:
        return
    try:
        given, own = urlsplit(url), urlsplit(allowed)
        same = (given.scheme, given.hostname, given.port) == (own.scheme, own.hostname, own.port)
    except ValueError:
        same = False
    if not same or "\\" in url or not url.isprintable() or given.username is not None:
        message = f"must begin with {allowed}/"
        raise Invalid(f"return_url {message}.", fields=(FieldError("return_url", message),))


def _exchange(grants: Grants, holder: Holder, code: str, verifier: Secret, request: Row[Any]) -> str | None:
    """Why there are no tokens for this code; None when they are stored."""
    client = Client(grants.asker.session, holder, grants.asker.clock)
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": request.redirect_uri}
    if client.settings.pkce:
        fields["code_verifier"] = verifier.reveal()
    try:
        outcome = client.ask(fields, secrets.token_urlsafe(16))
    except UnusableKey as error:
        return error.detail
    answer = read_oauth(outcome, client.settings, [*client.secrets, verifier, Secret(code)])
    if not isinstance(answer, Tokens):
        return answer.message
    keep(grants, holder, answer, request.started_by)
    return None


def _fault(holder: Holder, basis: str, query: Mapping[str, str]) -> str | None:
    """Why this answer is not followed; None when it is to be."""
    issuer = holder.parameters.get("issuer")
    if issuer is not None and query.get("iss") != issuer:
        return "The answer does not come from the provider that was asked (`iss` differs)."
    if holder.basis != basis:
        return "The integration's settings were changed meanwhile. Start again."
    if query.get("error"):
        told = [query.get("error", ""), query.get("error_description", "")]
        text = ": ".join(safe_text(part) for part in told if part)
        return f"The provider says: {masked(text, holder.secrets.values())}"
    return None if query.get("code") else "The provider sent neither a code nor an error."


def _challenge(verifier: Secret) -> str:
    """RFC 7636, 4.2."""
    digest = hashlib.sha256(verifier.reveal().encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _hash(state: str) -> bytes:
    return hashlib.sha256(b"hub/oauth-state/v1\0" + state.encode("utf-8", "replace")).digest()
