"""The grant of a device (RFC 8628): a person types a code elsewhere, and the hub asks again and again meanwhile.

What is being waited for is a row, so any process may ask, and a restart loses nothing. Whoever asks first moves the
next time on: the provider's interval holds over all processes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.core.errors import Conflict, HubError, NotFound, Unavailable
from hub.core.ids import new_uuid
from hub.core.secret import Secret
from hub.integrations.auth.oauth2 import url_fault
from hub.integrations.grants import request_store, store
from hub.integrations.grants.answer import Refused, Tokens, not_granted, read_json, read_oauth, seconds
from hub.integrations.grants.authorization import (
    REQUEST_KIND,
    NotGranted,
    forget_expired,
    keep,
    load_holder,
)
from hub.integrations.grants.oauth2 import Client

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from hub.integrations.grants.holder import Holder
    from hub.integrations.grants.keeper import Grants

_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_DEFAULT_INTERVAL = 5
_LONGEST_INTERVAL = 300
_DEFAULT_LIFE_SECONDS = 600.0
_LONGEST_LIFE_SECONDS = 3600.0
_SLOWER_BY = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """What to show to the person.

    Args:
        user_code: to type.
        verification_uri: where.
        complete_uri: the same with the code in it, if the provider has such a thing.
        interval: seconds between two polls.
        expires_at: until when.
    """

    user_code: str
    verification_uri: str
    complete_uri: str | None
    interval: int
    expires_at: datetime


def start(grants: Grants, holder: Holder, *, started_by: UUID | None = None) -> Shown:
    """Ask the provider for a code to show. Takes up to 10 s.

    Args:
        grants: of this process.
        holder: the integration.
        started_by: the API key that asks for it.

    Raises:
        Conflict: the integration's grant is another one, or the provider refused.
        Unavailable: the provider does not answer.
    """
    if holder.grant != "device":
        raise Conflict("Only an integration with `auth.grant` `device` is connected by a code.")
    client = Client(grants.asker.session, holder, grants.asker.clock)
    fields = {"scope": client.scope()} if client.settings.scopes else {}
    outcome = client.post(str(client.settings.device_url), fields, secrets.token_urlsafe(16))
    found = read_json(outcome)
    parts = _parts(found) if outcome.ok else None
    if parts is None:
        refusal = not_granted(outcome, found, client.secrets, "user_code")
        raise (Conflict if isinstance(refusal, Refused) else Unavailable)(refusal.message)
    device_code, user_code, uri = parts
    asked = seconds(found.get("interval")) or _DEFAULT_INTERVAL
    interval = max(1, min(round(asked), _LONGEST_INTERVAL))
    life = min(seconds(found.get("expires_in")) or _DEFAULT_LIFE_SECONDS, _LONGEST_LIFE_SECONDS)
    with grants.engine.begin() as conn:
        forget_expired(grants, conn)
        store.open_grant(conn, holder.tenant_id, holder.id)
        for old in request_store.drop_requests(conn, holder.tenant_id, holder.id):
            grants.vault.delete(conn, holder.tenant_id, [old.secret_id])
        secret_id = grants.vault.put(conn, holder.tenant_id, REQUEST_KIND, "device_code", device_code)
        row = request_store.insert_request(
            conn,
            {
                "id": new_uuid(),
                "tenant": holder.tenant_id,
                "integration": holder.id,
                "state_hash": None,
                "secret": secret_id,
                "basis": holder.basis,
                "started_by": started_by,
                "redirect_uri": None,
                "return_url": None,
                "interval": interval,
                "life": life,
            },
        )
    complete = found.get("verification_uri_complete")
    usable = isinstance(complete, str) and url_fault(complete) is None
    return Shown(user_code, uri, complete if usable else None, interval, row.expires_at)


def poll(grants: Grants, tenant_id: UUID, integration_id: UUID) -> bool:
    """Ask whether the person is done, unless it is too early for that.

    Returns:
        True when the integration has a grant now, whoever got it; False: go on waiting.

    Raises:
        NotFound: nobody is waited for, and nobody has connected it.
        NotGranted: the person said no, or took too long.
    """
    with grants.engine.begin() as conn:
        request = request_store.find_device_request(conn, tenant_id, integration_id)
        if request is not None:
            if request.fresh and not request_store.take_poll(conn, request.id):
                return False
            found = grants.vault.get_many(conn, [(tenant_id, request.secret_id)])
    if request is None:
        # Another process, such as the job of `poll_due`, may have finished it between two polls.
        if not _is_connected(grants, tenant_id, integration_id):
            raise NotFound("Nobody is being waited for: start again.")
        return True
    if not request.fresh:
        raise _given_up(grants, request, "The code was not typed in time. Start again.")
    holder, _ = load_holder(grants, tenant_id, integration_id)
    device_code = found.get(request.secret_id)
    if device_code is None or holder.basis != request.basis:
        raise _given_up(grants, request, "The integration's settings were changed meanwhile. Start again.")
    client = Client(grants.asker.session, holder, grants.asker.clock)
    fields = {"grant_type": _GRANT, "device_code": device_code.reveal()}
    outcome = client.ask(fields, secrets.token_urlsafe(16))
    answer = read_oauth(outcome, client.settings, [*client.secrets, device_code])
    if isinstance(answer, Tokens):
        # In this order whoever polls meanwhile finds either what is waited for or the grant.
        keep(grants, holder, answer, request.started_by)
        _drop(grants, request)
        return True
    if isinstance(answer, Refused):
        raise _given_up(grants, request, answer.message)
    if answer.code == "slow_down":  # RFC 8628, 3.5
        with grants.engine.begin() as conn:
            request_store.slow_down(conn, request.id, _SLOWER_BY)
    return False


def poll_due(grants: Grants, limit: int = 20) -> int:
    """Ask for every device whose time has come; for a job that runs every few seconds.

    Returns:
        How many were asked for.
    """
    with grants.engine.connect() as conn:
        due = request_store.due_polls(conn, limit)
    for row in due:
        try:
            poll(grants, row.tenant_id, row.integration_id)
        except HubError:  # written down with the grant; nobody is there to be told
            continue
    return len(due)


def _is_connected(grants: Grants, tenant_id: UUID, integration_id: UUID) -> bool:
    holder, _ = load_holder(grants, tenant_id, integration_id)
    with grants.engine.connect() as conn:
        row = store.find_grant(conn, tenant_id, integration_id)
    return holder.grant == "device" and row is not None and (row.state, row.basis) == ("active", holder.basis)


def _parts(found: Any) -> tuple[Secret, str, str] | None:
    if not isinstance(found, dict):
        return None
    # Google's first version said `verification_url`.
    code, user_code = found.get("device_code"), found.get("user_code")
    uri = found.get("verification_uri") or found.get("verification_url")
    texts = [one for one in (code, user_code, uri) if isinstance(one, str) and 0 < len(one) <= 2048]
    if len(texts) < 3 or url_fault(texts[2]) is not None:
        return None
    return Secret(texts[0]), texts[1], texts[2]


def _given_up(grants: Grants, request: Row[Any], reason: str) -> NotGranted:
    _drop(grants, request)
    with grants.engine.begin() as conn:
        store.note_error(conn, request.tenant_id, request.integration_id, reason)
    return NotGranted(reason)


def _drop(grants: Grants, request: Row[Any]) -> None:
    with grants.engine.begin() as conn:
        if request_store.drop_request(conn, request.id) is not None:
            grants.vault.delete(conn, request.tenant_id, [request.secret_id])
