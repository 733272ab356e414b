"""What can be done with sources, each in one transaction."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid
from hub.core.ids import new_uuid
from hub.core.secret import Secret
from hub.db.tenant_rows import unique_name
from hub.sources import store
from hub.sources.content import check_template
from hub.sources.models import source
from hub.sources.overlap import live_ids, rotate, stored
from hub.sources.peers import read_networks
from hub.sources.verification import compile_verifier
from hub.vault.vault import NewSecret

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from hub.access.principal import Principal
    from hub.sources.schemas import Rotation, SourceCreate, SourceUpdate
    from hub.vault.vault import Vault


def create(conn: Connection, caller: Principal, body: SourceCreate, *, vault: Vault) -> Row[Any]:
    """Make a source with its secrets.

    Raises:
        Invalid: a field is wrong; names it.
        Conflict: the name is taken.
    """
    values = body.model_dump(exclude={"secrets"})
    _check(values, body.name, body.event_type)
    ids = _put(conn, caller, vault, body.secrets, "secrets")
    values |= {
        "id": new_uuid(),
        "tenant_id": caller.tenant_id,
        "secrets": [stored(one) for one in ids],
        "created_by": caller.key_id,
    }
    with unique_name(source, body.name):
        return store.insert_source(conn, values)


def change(conn: Connection, caller: Principal, source_id: uuid.UUID, body: SourceUpdate) -> Row[Any]:
    """Change a source; what is left out stays.

    Raises:
        NotFound: the tenant has no such source.
        Invalid: a field is wrong; names it.
        Conflict: the name is taken.
    """
    before = store.find_source(conn, caller.tenant_id, source_id, lock=True)
    # Of what is there, the whole: an answer without its defaults would be no answer.
    values = body.model_dump(include=body.model_fields_set)
    name = values.get("name", before.name)
    _check(values, name, values.get("event_type", before.event_type))
    with unique_name(source, name):
        return store.update_source(conn, caller.tenant_id, source_id, values)


def rotate_secret(
    conn: Connection, caller: Principal, source_id: uuid.UUID, body: Rotation, *, vault: Vault, now: datetime
) -> Row[Any]:
    """Put a new secret first; the others stay valid for the overlap. What has ended leaves the vault.

    Args:
        conn: a connection inside a transaction.
        caller: who asks.
        source_id: of which source.
        body: the new secret and the overlap.
        vault: where it goes.
        now: the current time.

    Raises:
        NotFound: the tenant has no such source.
        Invalid: the secret cannot be stored.
    """
    row = store.find_source(conn, caller.tenant_id, source_id, lock=True)
    (new,) = _put(conn, caller, vault, [body.secret], "secret")
    kept, ended = rotate(row.secrets, new, now=now.astimezone(UTC).timestamp(), overlap=body.overlap_seconds)
    changed = store.update_source(conn, caller.tenant_id, source_id, {"secrets": kept})
    vault.delete(conn, caller.tenant_id, ended)
    return changed


def remove(conn: Connection, caller: Principal, source_id: uuid.UUID, *, vault: Vault) -> None:
    """Delete a source and its secrets."""
    row = store.find_source(conn, caller.tenant_id, source_id, lock=True)
    store.delete_source(conn, caller.tenant_id, source_id)
    vault.delete(conn, caller.tenant_id, [one for one, _ in live_ids(row.secrets, float("-inf"))])


def _check(values: dict[str, Any], name: str, template: str) -> None:
    """Judge what pydantic cannot; one error with a field for every fault."""
    faults: list[FieldError] = []
    for check in (
        lambda: compile_verifier(values["verifier"], field="verifier") if "verifier" in values else None,
        lambda: read_networks(values.get("ip_allow_list", ()), field="ip_allow_list"),
        lambda: check_template(template, name),
    ):
        try:
            check()
        except Invalid as error:
            faults += error.fields
    if faults:
        raise Invalid.of(faults)


def _put(conn: Connection, caller: Principal, vault: Vault, texts: list[str], field: str) -> list[uuid.UUID]:
    return vault.put_many(
        conn, [NewSecret(caller.tenant_id, "source", field, Secret(text)) for text in texts]
    )
