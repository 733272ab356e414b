"""Giving a grant back: forgotten here at once, revoked at the provider as well as that goes (RFC 7009).

In two steps, because the provider is asked outside of a transaction: `detach` forgets inside the caller's, `revoke`
tells the provider afterwards and never raises.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.core.errors import HubError
from hub.integrations.grants import request_store, store
from hub.integrations.grants.grant import Grant
from hub.integrations.grants.holder import Holder, obtains
from hub.integrations.grants.oauth2 import Client

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
    from uuid import UUID

    from sqlalchemy import Connection

    from hub.core.clock import Clock
    from hub.core.secret import Secret
    from hub.net.session import GuardedSession
    from hub.vault.vault import Vault

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Revocation:
    """What is to be revoked.

    Args:
        holder: whose it was.
        access: the access token.
        refresh: the refresh token.
    """

    holder: Holder
    access: Secret | None
    refresh: Secret | None


def asks(auth: Mapping[str, Any]) -> bool:
    """Whether there is a provider to tell, so that giving back a grant of these settings may take long."""
    return obtains(auth) and bool(auth.get("revocation_url"))


def detach(conn: Connection, vault: Vault, tenant_id: UUID, integration_id: UUID) -> Revocation | None:
    """Forget a grant, its tokens, and people who are on their way to give one.

    Call it before an integration is deleted, in the same transaction; its secrets must still be there.

    Args:
        conn: a connection inside a transaction.
        vault: has the tokens.
        tenant_id: whose.
        integration_id: which.

    Returns:
        What to `revoke` after the commit; None when the provider need not be told.
    """
    for request in request_store.drop_requests(conn, tenant_id, integration_id):
        vault.delete(conn, tenant_id, [request.secret_id])
    row = store.find_grant(conn, tenant_id, integration_id, lock=True)
    integration = store.find_integration(conn, tenant_id, integration_id)
    if row is None:
        return None
    grant = Grant.of(row)
    tokens = [one for one in (grant.access_id, grant.refresh_id) if one is not None]
    static = [] if integration is None else list(Holder.of(integration, {}).secret_ids.values())
    opened = vault.get_many(conn, [(tenant_id, one) for one in (*tokens, *static)])
    vault.delete(conn, tenant_id, tokens)
    store.forget_grant(conn, tenant_id, integration_id)
    store.note_account(conn, tenant_id, integration_id)
    if integration is None or not asks(integration.auth):
        return None
    holder = Holder.of(integration, opened)
    if not tokens or grant.basis != holder.basis:
        # A token is shown to nobody but those that it was got from and for.
        return None
    access = None if grant.access_id is None else opened.get(grant.access_id)
    refresh = None if grant.refresh_id is None else opened.get(grant.refresh_id)
    return Revocation(holder, access, refresh)


def revoke(session: GuardedSession, clock: Clock, revocation: Revocation | None) -> str | None:
    """Tell the provider; takes up to 10 s for each token. Never raises.

    Args:
        session: the way out.
        clock: wall time, for signed assertions.
        revocation: of `detach`.

    Returns:
        None when everything is revoked; else why not, for a person.
    """
    if revocation is None:
        return "The provider was not told: it has no revocation URL here, or there was no token."
    try:
        client = Client(session, revocation.holder, clock)
        # The refresh token first: revoking it ends the access tokens of most providers as well (RFC 7009, 2.1).
        tokens = [("refresh_token", revocation.refresh), ("access_token", revocation.access)]
        for hint, token in tokens:
            if token is None:
                continue
            fields = {"token": token.reveal(), "token_type_hint": hint}
            outcome = client.post(str(client.settings.revocation_url), fields, secrets.token_urlsafe(16))
            if not outcome.ok:
                return f"The provider did not revoke the {hint.replace('_', ' ')}: {outcome.message}"
    except HubError as error:
        return error.detail
    except Exception as error:  # noqa: BLE001 - whatever it is, the grant is forgotten here
        log.error("A grant could not be revoked: %s", type(error).__name__)  # noqa: TRY400 - may hold a secret
        return "The provider could not be told."
    return None
