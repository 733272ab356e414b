"""What can be done with endpoints, each in one transaction with the note that the tenant's set-up changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError

from hub.access.store import bump_config_version
from hub.core.errors import Conflict, FieldError, Invalid, NotFound
from hub.core.ids import new_uuid
from hub.core.secret import Secret
from hub.db.states import FINISHED, State
from hub.net.headers import check_headers
from hub.webhooks import store
from hub.webhooks.signing import decode_secret, new_secret
from hub.webhooks.target import limits_of

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Connection, Row

    from hub.access.principal import Principal
    from hub.net.policy import AddressPolicy
    from hub.vault.vault import Vault
    from hub.webhooks.schemas import EndpointCreate, EndpointUpdate

_NOT_NULLABLE = ("name", "url", "description", "event_types", "headers", "metadata", "status")
_OWN_HEADERS = ("webhook-", "content-type", "user-agent")
_SECRET_HEADERS = frozenset({"authorization", "cookie"})


def check(body: EndpointCreate | EndpointUpdate, policy: AddressPolicy) -> None:
    """Judge where an endpoint would be called and with which headers. Asks DNS: call it outside of a transaction.

    Raises:
        Invalid: the URL is refused, or a header is not allowed; with one field for every fault.
    """
    faults: list[FieldError] = []
    if "url" in body.model_fields_set:
        try:
            policy.check_resolves(body.url)
        except Invalid as error:
            faults += error.fields
    try:
        check_headers(body.headers, "headers")
    except Invalid as error:
        faults += error.fields
    for name in body.headers:
        if name.lower().startswith(_OWN_HEADERS):
            faults.append(FieldError(f"headers.{name}", "is set by the hub"))
        elif name.lower() in _SECRET_HEADERS:
            faults.append(
                FieldError(f"headers.{name}", "would be stored and shown in the clear; it is not allowed")
            )
    if faults:
        raise Invalid("; ".join(f"{f.path}: {f.message}" for f in faults) + ".", fields=tuple(faults))


def create(
    conn: Connection, caller: Principal, body: EndpointCreate, *, vault: Vault
) -> tuple[Row[Any], Secret]:
    """Make an endpoint, which was checked, and its signing secret.

    Raises:
        Invalid: the secret is malformed.
        Conflict: the name is taken.
    """
    secret = new_secret() if body.secret is None else Secret(body.secret)
    decode_secret(secret)
    values = body.model_dump(exclude={"secret", "retry_schedule"})
    values |= {
        "id": new_uuid(),
        "tenant_id": caller.tenant_id,
        "secret_id": vault.put(conn, caller.tenant_id, "endpoint", "signing_secret", secret),
        "created_by": caller.key_id,
    }
    row = _named(lambda: store.insert_endpoint(conn, values), body.name)
    store.DELIVERIES.configure(conn, caller.tenant_id, row.id, limits_of(row))
    bump_config_version(conn, caller.tenant_id)
    return row, secret


def change(
    conn: Connection,
    caller: Principal,
    endpoint_id: uuid.UUID,
    body: EndpointUpdate,
) -> tuple[Row[Any], bool]:
    """Change an endpoint, by what was checked; pausing holds what waits for it, activating sends it.

    Returns:
        The endpoint, and whether it was activated.
    """
    before = store.find_endpoint(conn, caller.tenant_id, endpoint_id, lock=True)
    values = body.model_dump(exclude_unset=True, exclude={"retry_schedule"})
    if nulls := [name for name in _NOT_NULLABLE if name in values and values[name] is None]:
        raise Invalid(
            f"{', '.join(nulls)} must not be null.",
            fields=tuple(FieldError(name, "must not be null") for name in nulls),
        )
    status = values.get("status", before.status)
    if status != before.status:
        values["status_reason"] = None if status == "active" else "by_user"
    row = _named(
        lambda: store.update_endpoint(conn, caller.tenant_id, endpoint_id, values), values.get("name", "")
    )
    bump_config_version(conn, caller.tenant_id)
    store.DELIVERIES.configure(conn, caller.tenant_id, endpoint_id, limits_of(row))
    if status == before.status:
        return row, False
    if status == "active":
        store.DELIVERIES.release(conn, endpoint_id)
        return row, True
    store.DELIVERIES.hold(conn, endpoint_id, f"endpoint_{status}")
    return row, False


def remove(conn: Connection, caller: Principal, endpoint_id: uuid.UUID, *, vault: Vault) -> None:
    """Delete an endpoint and its secret; what waits for it is cancelled."""
    row = store.find_endpoint(conn, caller.tenant_id, endpoint_id, lock=True)
    # Before its deliveries are touched: workers lock the tenant first, then deliveries.
    bump_config_version(conn, caller.tenant_id)
    store.delete_endpoint(conn, caller.tenant_id, endpoint_id)
    vault.delete(conn, caller.tenant_id, [row.secret_id])


def resend(conn: Connection, caller: Principal, delivery_id: uuid.UUID) -> Row[Any]:
    """Send a delivery once more, whatever became of it, with the same webhook-id; burns no step of its schedule.

    Raises:
        NotFound: the tenant has no such delivery.
        Conflict: it is being sent now, or its endpoint is gone or not active.
    """
    row = store.find_delivery(conn, caller.tenant_id, delivery_id)
    try:
        endpoint = store.find_endpoint(conn, caller.tenant_id, row.endpoint_id)
    except NotFound:
        raise Conflict("The endpoint of this delivery was deleted.") from None
    if endpoint.status != "active":
        raise Conflict(f"The endpoint is {endpoint.status}: activate it first, then resend.")
    moved = store.DELIVERIES.move(
        conn, caller.tenant_id, [delivery_id], to=State.DUE, allowed=[*FINISHED, State.HELD, State.DUE]
    )
    if not moved:
        raise Conflict("The delivery is being sent right now.")
    return store.find_delivery(conn, caller.tenant_id, delivery_id)


def _named(action: Any, name: str) -> Row[Any]:
    try:
        row: Row[Any] = action()
    except IntegrityError as error:
        if "endpoint_tenant_id_name_key" not in str(error.orig):
            raise
        message = "is the name of another endpoint"
        raise Conflict(f"{name!r} {message}.", fields=(FieldError("name", message),)) from None
    return row
