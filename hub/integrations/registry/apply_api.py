"""The route that makes many integrations what their declarations say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from hub.integrations.forms import Form
from hub.integrations.registry import applying
from hub.integrations.registry.changing import Writer, let_go
from hub.integrations.registry.schemas import Change
from hub.integrations.services import Workshop
from hub.queue.contracts import TaskName
from hub.transforms import acting_for
from hub.web.services import Hub

router = APIRouter(tags=["Integrations"])


class ApplyIn(Form):
    """Definitions as they are to be; those that are not named stay as they are."""

    integrations: list[dict[str, Any]] = Field(min_length=1, max_length=applying.MAX_DOCUMENTS)


class Applied(Form):
    """What became of one definition."""

    name: str
    action: Literal["create", "update", "none"]
    changes: list[Change]
    secrets: list[str] = Field(description="Names of the secrets that were written.")


class AppliedAll(Form):
    """One entry for each definition, in order."""

    dry_run: bool
    data: list[Applied]


@router.post("/integrations/apply")
def apply_integrations(
    body: ApplyIn,
    caller: Writer,
    hub: Hub,
    workshop: Workshop,
    dry_run: Annotated[bool, Query(description="Only tell what would change.")] = False,  # noqa: FBT002
) -> AppliedAll:
    """Make definitions as they are declared: all of them or none. Applying the same again changes nothing."""
    with hub.slow.place(caller.tenant_id), acting_for(caller.tenant_id):
        steps = applying.plan(
            hub.engine, hub.vault, hub.policy, workshop.sandbox, caller.tenant_id, body.integrations
        )
    if not dry_run:
        with hub.engine.begin() as conn:
            resumed = applying.apply(conn, hub.vault, caller.tenant_id, steps, by=caller.key_id)
            released = [
                let_go(conn, step.current.id, step.definition, callable_again=step.current.id in resumed)
                for step in steps
                if step.current is not None and step.definition is not None
            ]
        if any(released):
            hub.ring(TaskName.EXECUTIONS_RUN)
    data = [
        Applied(name=s.name, action=s.action, changes=[Change(**one) for one in s.changes], secrets=s.secrets)
        for s in steps
    ]
    return AppliedAll(dry_run=dry_run, data=data)
