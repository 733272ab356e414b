"""Applying documents: what is declared becomes what is, and applying the same again changes nothing.

A document names its integration; what it leaves out has its default. Integrations that no document names stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from hub.core.errors import Conflict, FieldError, Invalid
from hub.integrations.registry import service, store
from hub.integrations.registry.definition import (
    Definition,
    Stored,
    check_create,
    check_update,
    draft_create,
    draft_update,
)
from hub.integrations.registry.documents import FIXED, changes_to, differences, document_of
from hub.integrations.target import secret_ids

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine, Row

    from hub.net.policy import AddressPolicy
    from hub.transforms import Sandbox
    from hub.vault.vault import Vault

MAX_DOCUMENTS = 500
_SHOWN_FAULTS = 5


@dataclass(slots=True)
class Step:
    """What becomes of one document.

    Attributes:
        name: of the integration.
        action: what is done.
        changes: as `documents.differences`; of a new one there are none.
        secrets: names of those that are written.
        definition: what is stored.
        current: the row that is changed.
    """

    name: str
    action: Literal["create", "update", "none"]
    changes: list[dict[str, Any]] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    definition: Definition | None = None
    current: Row[Any] | None = None


def plan(
    engine: Engine,
    vault: Vault,
    policy: AddressPolicy,
    sandbox: Sandbox | None,
    tenant_id: uuid.UUID,
    documents: Sequence[Any],
    *,
    field: str = "integrations",
) -> list[Step]:
    """Find out what applying documents would do. Resolves hosts: call it outside of a transaction.

    Args:
        engine: the database.
        vault: tells whether a secret is another one.
        policy: where calls may go.
        sandbox: reads expressions.
        tenant_id: whose.
        documents: as a request that creates an integration, with or without the secrets that are stored.
        field: where the list stands in the caller's input, for errors.

    Raises:
        Invalid: with one field for every fault of every document.
    """
    faults: list[FieldError] = []
    names = [one.get("name") if isinstance(one, dict) else None for one in documents]
    for index, name in enumerate(names):
        if isinstance(name, str) and name in names[:index]:
            faults.append(FieldError(f"{field}.{index}.name", "is the name of another document of this list"))
    with engine.connect() as conn:
        rows = store.find_by_names(conn, tenant_id, {name for name in names if isinstance(name, str)})
        pairs = [(tenant_id, secret) for row in rows.values() for secret in secret_ids(row).values()]
        opened = vault.get_many(conn, pairs)
    steps = []
    for index, document in enumerate(documents):
        name = names[index]
        try:
            row = rows.get(name) if isinstance(name, str) else None
            if row is None:
                made = check_create(draft_create(document), policy, sandbox)
                steps.append(Step(str(name), "create", secrets=sorted(made.secrets), definition=made))
            else:
                steps.append(_update(row, document, opened, policy, sandbox))
        except Invalid as error:
            at = f"{field}.{index}"
            faults += [
                FieldError(f"{at}.{one.path}" if one.path else at, one.message) for one in error.fields
            ]
    if faults:
        shown = "; ".join(f"{fault.path}: {fault.message}" for fault in faults[:_SHOWN_FAULTS])
        more = f"; and {len(faults) - _SHOWN_FAULTS} more" if len(faults) > _SHOWN_FAULTS else ""
        raise Invalid(f"{shown}{more}.", fields=tuple(faults[:100]))
    return steps


def apply(
    conn: Connection, vault: Vault, tenant_id: uuid.UUID, steps: Sequence[Step], *, by: uuid.UUID | None
) -> set[uuid.UUID]:
    """Do what was planned, all of it or nothing.

    Args:
        conn: a connection inside a transaction.
        vault: takes the secrets.
        tenant_id: whose.
        steps: from `plan`.
        by: the API key; None: an operator.

    Returns:
        The integrations that may be called again and could not before.

    Raises:
        Conflict: something was changed since it was planned.
    """
    changed = [one.current.id for one in steps if one.current is not None and one.definition is not None]
    # In one order for all, and before the tenant's row: nobody waits for a row of ours while we wait for theirs.
    store.lock_integrations(conn, tenant_id, changed)
    resumed = set()
    for step in steps:
        if step.definition is None:
            continue
        try:
            if step.current is None:
                service.create(conn, vault, tenant_id, step.definition, created_by=by)
            else:
                row = service.change(
                    conn, vault, step.current, step.definition, changed_by=by, action="integration.applied"
                )
                if service.resumes(step.current, row):
                    resumed.add(row.id)
        except Conflict as error:
            raise Conflict(f"{step.name}: {error.detail}") from None
    return resumed


def _update(
    row: Row[Any], document: Any, opened: dict[Any, Any], policy: AddressPolicy, sandbox: Sandbox | None
) -> Step:
    draft = draft_create(document)
    present = document_of(row)
    if draft.model is None:
        # Its faults, with those of its meaning.
        check_create(draft, policy, sandbox)
    assert draft.model is not None
    for name in FIXED & draft.model.model_fields_set:
        given = getattr(draft.model, name)
        if given is not None and given != present[name]:
            text = f"cannot change; it is {present[name]}. Delete the integration, or choose another name"
            raise Invalid(f"{name} {text}.", fields=(FieldError(name, text),))
    ids = secret_ids(row)
    stored = Stored(present, ids)
    whole = {**draft.model.model_dump(mode="json", exclude={"auth", "tls", *FIXED}, by_alias=True)}
    whole |= {name: document[name] for name in ("auth", "tls") if name in document}
    whole.setdefault("auth", {"mode": "none"})
    whole.setdefault("tls", None)
    definition = check_update(draft_update(whole), policy, stored, sandbox)
    new = {
        name: secret
        for name, secret in definition.secrets.items()
        if name not in ids or (was := opened.get(ids[name])) is None or was.reveal() != secret.reveal()
    }
    changed = changes_to(present, definition.columns)
    gone = definition.needs is not None and not set(ids) <= definition.needs
    if not changed and not new and not gone:
        return Step(row.name, "none")
    changes = [
        one for name in changed for one in differences(present.get(name), definition.columns[name], name)
    ]
    service.check_secrets_stay(row, definition)
    # What goes to another place is written even when it is the same secret: it was given for that place.
    secrets = definition.secrets if service.moved(row, definition) else new
    kept = Definition({name: definition.columns[name] for name in changed}, secrets, definition.needs)
    return Step(row.name, "update", changes, sorted(secrets), kept, row)
