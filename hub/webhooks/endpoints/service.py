"""What can be done with endpoints, each in one transaction with the note that the tenant's set-up changed.

Locks are taken in one order, which workers keep too: endpoint, tenant, deliveries, lanes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hub.access.store import bump_config_version
from hub.core.errors import Conflict, FieldError, Unavailable
from hub.core.ids import new_uuid
from hub.core.secret import Secret
from hub.db.states import State
from hub.db.tenant_rows import unique_name
from hub.net.client_certificate import ClientCertificate
from hub.web.etags import check_version
from hub.webhooks.endpoints import store
from hub.webhooks.endpoints.checking import check_together
from hub.webhooks.endpoints.overlap import live
from hub.webhooks.models import endpoint
from hub.webhooks.signing import decode_secret, new_keypair, new_secret
from hub.webhooks.store import DELIVERIES
from hub.webhooks.target import limits_of

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Row

    from hub.access.principal import Principal
    from hub.vault.vault import Vault
    from hub.webhooks.endpoints.schemas import EndpointCreate, EndpointUpdate

#: The fields that are columns of the same name.
_AS_GIVEN = {
    "name", "description", "url", "kind", "event_types", "labels", "filter", "transformations", "headers",
    "signature_profiles", "timeout_seconds", "retry_policy", "max_in_flight", "rate_limit", "drain_rate", "ordering",
    "ip_allow_list", "metadata", "challenge",
}  # fmt: skip
_TOGETHER = ("url", "headers", "auth", "signature_profiles", "certificate")
_DISCARDED = "discarded"
_DISCARD_ROWS = 1_000
_DISCARD_SECONDS = 20.0


def create(
    conn: Connection, caller: Principal, body: EndpointCreate, *, vault: Vault, now: datetime
) -> tuple[Row[Any], Secret]:
    """Make an endpoint, which was checked, and its signing secret.

    Raises:
        Invalid: two of its fields contradict each other.
        Conflict: the name is taken.
    """
    made = insert(conn, caller, body, vault=vault, now=now)
    bump_config_version(conn, caller.tenant_id)
    return made


def insert(
    conn: Connection, caller: Principal, body: EndpointCreate, *, vault: Vault, now: datetime
) -> tuple[Row[Any], Secret]:
    """`create` for one of many: the caller notes that the set-up changed."""
    secret = new_secret() if body.secret is None else Secret(body.secret)
    decode_secret(secret)
    keeping = Keeping(conn, caller.tenant_id, vault)
    values = _columns(body, keeping, now, only_set=False) | {
        "id": new_uuid(),
        "tenant_id": caller.tenant_id,
        "secret_id": keeping.put("signing_secret", secret),
        "created_by": caller.key_id,
    }
    check_together(values)
    if body.challenge:
        values |= {"status": "unverified", "status_reason": "not_verified"}
    with unique_name(endpoint, body.name):
        row = store.insert_endpoint(conn, values)
    DELIVERIES.configure(conn, caller.tenant_id, row.id, limits_of(row))
    _follow_status(conn, row)
    return row, secret


def change(
    conn: Connection,
    caller: Principal,
    endpoint_id: uuid.UUID,
    body: EndpointUpdate,
    *,
    vault: Vault,
    now: datetime,
    if_match: str | None = None,
) -> tuple[Row[Any], bool]:
    """Change an endpoint, by what was checked; pausing holds what waits for it, activating sends it.

    Args:
        conn: a connection inside a transaction of its own.
        caller: who asks.
        endpoint_id: which one.
        body: the changes.
        vault: where secrets go.
        now: the current time.
        if_match: the header of that name.

    Returns:
        The endpoint, and whether it was activated.

    Raises:
        NotFound: the tenant has no such endpoint.
        Stale: it is not the version that `if_match` names.
        Invalid: two of its fields contradict each other.
        Conflict: the name is taken, or it has to be verified first.
    """
    before = store.find_endpoint(conn, caller.tenant_id, endpoint_id, lock=True)
    check_version(if_match, before.version)
    keeping = Keeping(conn, caller.tenant_id, vault)
    values = _columns(body, keeping, now, only_set=True, before=before)
    check_together({name: values.get(name, getattr(before, name)) for name in _TOGETHER})
    wanted = body.status if "status" in body.model_fields_set else None
    values |= _status(before, values, wanted)
    return save(conn, caller, before, values, keeping)


def save(
    conn: Connection, caller: Principal, before: Row[Any], values: dict[str, Any], keeping: Keeping
) -> tuple[Row[Any], bool]:
    """Write the new values of a locked endpoint, and let its lane and the workers know.

    Returns:
        The endpoint, and whether it was activated.
    """
    with unique_name(endpoint, values.get("name", "")):
        row = store.update_endpoint(conn, caller.tenant_id, before.id, values)
    bump_config_version(conn, caller.tenant_id)
    DELIVERIES.configure(conn, caller.tenant_id, row.id, limits_of(row))
    if row.status != before.status:
        _follow_status(conn, row)
    keeping.drop_unused()
    return row, row.status == "active" != before.status


def remove(
    conn: Connection,
    caller: Principal,
    endpoint_id: uuid.UUID,
    *,
    vault: Vault,
    if_match: str | None = None,
) -> None:
    """Delete an endpoint and its secrets; what waits for it is cancelled.

    Raises:
        NotFound: the tenant has no such endpoint.
        Stale: it is not the version that `if_match` names.
    """
    row = store.find_endpoint(conn, caller.tenant_id, endpoint_id, lock=True)
    check_version(if_match, row.version)
    # Before its deliveries are touched: workers lock the tenant first, then deliveries.
    bump_config_version(conn, caller.tenant_id)
    store.delete_endpoint(conn, caller.tenant_id, endpoint_id)
    older = [one.secret_id for one in live([*row.previous_secrets, *row.previous_keys])]
    ids = [row.secret_id, row.key_id, row.auth_secret_id, row.certificate_key_id, *older]
    vault.delete(conn, caller.tenant_id, [one for one in ids if one is not None])


def discard_backlog(engine: Engine, caller: Principal, endpoint_id: uuid.UUID) -> int:
    """Cancel what waits for an endpoint at this moment, in short transactions; what comes meanwhile stays.

    Returns:
        How many deliveries were cancelled.

    Raises:
        NotFound: the tenant has no such endpoint.
        Unavailable: it takes too long for one request; asking again goes on with it.
    """
    with engine.connect() as conn:
        store.find_endpoint(conn, caller.tenant_id, endpoint_id)
    below = new_uuid()
    deadline = time.monotonic() + _DISCARD_SECONDS
    total = 0
    while True:
        with engine.begin() as conn:
            ids = store.list_waiting(conn, endpoint_id, below=below, limit=_DISCARD_ROWS)
            moved = DELIVERIES.move(
                conn,
                caller.tenant_id,
                ids,
                to=State.CANCELLED,
                allowed=[State.DUE, State.HELD],
                reason=_DISCARDED,
            )
        total += len(moved)
        if not moved:
            return total
        if time.monotonic() > deadline:
            raise Unavailable(f"{total} deliveries were cancelled and more are left: send this again.")


class Keeping:
    """The secrets of one change: new ones are put away at once, those that they replace when it is written."""

    def __init__(self, conn: Connection, tenant_id: uuid.UUID, vault: Vault) -> None:
        self._conn = conn
        self._tenant_id = tenant_id
        self._vault = vault
        self._unused: list[uuid.UUID] = []

    def put(self, field: str, secret: Secret) -> uuid.UUID:
        """Put a secret away; its id."""
        return self._vault.put(self._conn, self._tenant_id, "endpoint", field, secret)

    def unused(self, *ids: uuid.UUID | None) -> None:
        """These are of no more use after the change."""
        self._unused += [one for one in ids if one is not None]

    def drop_unused(self) -> None:
        """Delete what is of no more use."""
        if self._unused:
            self._vault.delete(self._conn, self._tenant_id, self._unused)


def _columns(
    body: EndpointCreate | EndpointUpdate,
    keeping: Keeping,
    now: datetime,
    *,
    only_set: bool,
    before: Row[Any] | None = None,
) -> dict[str, Any]:
    """The columns that a body means; its secrets are put away."""
    values = body.model_dump(include=_AS_GIVEN, exclude_unset=only_set)
    if values.get("retry_policy"):
        assert body.retry_policy is not None
        values["retry_policy"] = body.retry_policy.model_dump(exclude_none=True)
    given = body.model_fields_set if only_set else set(type(body).model_fields)
    if "batch" in given:
        values |= {"batch_size": body.batch.size, "batch_wait_seconds": body.batch.wait_seconds}
    if "auth" in given:
        field = body.auth.secret_field
        values["auth"] = body.auth.model_dump(exclude=set() if field is None else {field}, exclude_none=True)
        values["auth_secret_id"] = (
            None if field is None else keeping.put(f"auth.{field}", Secret(getattr(body.auth, field)))
        )
        keeping.unused(None if before is None else before.auth_secret_id)
    if "client_certificate" in given:
        values |= {"certificate": None, "certificate_key_id": None}
        if (pair := body.client_certificate) is not None:
            checked = ClientCertificate.parse(pair.certificate, Secret(pair.key), now=now)
            values["certificate"] = checked.chain.decode()
            values["certificate_key_id"] = keeping.put("client_certificate.key", checked.key)
        keeping.unused(None if before is None else before.certificate_key_id)
    if "asymmetric" in given:
        values |= _key(body, keeping, before)
    return values


def _key(body: EndpointCreate | EndpointUpdate, keeping: Keeping, before: Row[Any] | None) -> dict[str, Any]:
    """An ed25519 key where there is to be one; the one that is there stays."""
    has_key = before is not None and before.key_id is not None
    if body.asymmetric == has_key:
        return {}
    if body.asymmetric:
        private, public = new_keypair()
        return {"key_id": keeping.put("private_key", private), "public_key": public}
    assert before is not None
    keeping.unused(before.key_id, *(one.secret_id for one in live(before.previous_keys)))
    return {"key_id": None, "public_key": None, "previous_keys": []}


def _status(before: Row[Any], values: dict[str, Any], wanted: str | None) -> dict[str, Any]:
    """The status after a change. An endpoint with a challenge is active only at the URL that was verified.

    Raises:
        Conflict: it is to be active and has to be verified first.
    """
    url, challenge = values.get("url", before.url), values.get("challenge", before.challenge)
    verified = not challenge or before.verified_url == url
    status = wanted or before.status
    if status == "active" and not verified:
        if wanted == "active":
            raise Conflict(
                "Its URL is not verified: send POST …/verify, or set `challenge` to false.",
                fields=(FieldError("status", "cannot be `active` before the URL is verified"),),
            )
        status = "unverified"
    elif status == "unverified" and verified:
        status = "active"
    if status == before.status:
        return {}
    return {"status": status, "status_reason": reason_of(status)}


def reason_of(status: str) -> str | None:
    """Why an endpoint has a status that a person gave it."""
    return {"active": None, "unverified": "not_verified"}.get(status, "by_user")


def _follow_status(conn: Connection, row: Row[Any]) -> None:
    if row.status == "active":
        DELIVERIES.release(conn, row.id)
    else:
        DELIVERIES.hold(conn, row.id, f"endpoint_{row.status}")
