"""A change of one integration, for the routes that make one: checked, written, and what waited for it released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from hub.access.principal import Principal
from hub.core.ids import Kind, parse_id
from hub.integrations.executions.release_store import (
    release_held,
    release_needing_reauth,
    release_over_quota,
)
from hub.integrations.registry import service, views
from hub.integrations.registry.definition import Draft, Stored, check_update
from hub.integrations.registry.documents import document_of
from hub.integrations.target import secret_ids
from hub.queue.contracts import TaskName
from hub.transforms import acting_for
from hub.web.auth import requires

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Connection, Row

    from hub.integrations.registry.definition import Definition
    from hub.integrations.registry.schemas import Integration, IntegrationUpdate
    from hub.integrations.services import Bench
    from hub.web.services import Services

Reader = Annotated[Principal, requires("integrations:read")]
Writer = Annotated[Principal, requires("integrations:write")]


def integration_uuid(text: str) -> uuid.UUID:
    """The id in a path.

    Raises:
        Invalid: it is not one.
    """
    return parse_id(Kind.INTEGRATION, text, field="path.integration_id")


def shown(hub: Services, conn: Connection, row: Row[Any]) -> Integration:
    """An integration as it is answered; of its secrets only last4 and fingerprint."""
    return views.integration(row, hub.vault.describe(conn, row.tenant_id, list(secret_ids(row).values())))


def let_go(
    conn: Connection, integration_id: uuid.UUID, definition: Definition, *, callable_again: bool
) -> bool:
    """Release what waited for just this change. Ring after the commit when there was something.

    Args:
        conn: the transaction of the change.
        integration_id: what was changed.
        definition: the change.
        callable_again: its status let nothing through before, and does now.
    """
    released = release_held(conn, integration_id) if callable_again else []
    if "auth" in definition.columns or definition.secrets:
        # With other credentials what waits for a person may work; the next call finds out.
        released += release_needing_reauth(conn, [integration_id])
    if "quota" in definition.columns:
        released += release_over_quota(conn, integration_id)
    return bool(released)


def change(
    hub: Services,
    workshop: Bench,
    caller: Principal,
    current: Row[Any],
    draft: Draft[IntegrationUpdate],
    action: str,
) -> Integration:
    """Change an integration as a draft says, and let go on what waited for just that.

    Args:
        hub: the process's services.
        workshop: what checks expressions.
        caller: who changes it.
        current: the row that the caller saw.
        draft: the change.
        action: what the audit log calls it.

    Raises:
        Invalid: the draft is wrong; with one field for every fault. Nothing is written.
        Conflict: somebody changed it meanwhile, or the new name is taken.
    """
    stored = Stored(document_of(current), secret_ids(current))
    with hub.slow.place(caller.tenant_id), acting_for(caller.tenant_id):
        definition = check_update(draft, hub.policy, stored, workshop.sandbox)
    with hub.engine.begin() as conn:
        row = service.change(conn, hub.vault, current, definition, changed_by=caller.key_id, action=action)
        resumed = let_go(conn, row.id, definition, callable_again=service.resumes(current, row))
        changed = shown(hub, conn, row)
    if resumed:
        hub.ring(TaskName.EXECUTIONS_RUN)
    return changed
