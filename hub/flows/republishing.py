"""What a flow publishes of executions that ended before, made once more.

The way back for events that could not be made (the audit log names their executions), and for rules that were mended
or added since. Nobody is called: it is all made of what the ledger kept of the end.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hub.access import audit
from hub.core.errors import FieldError, Invalid
from hub.core.ids import Kind, format_id
from hub.db.engine import snapshot
from hub.db.states import State
from hub.flows.announcing import Unpublished
from hub.flows.schemas import Published
from hub.flows.store import Publishing
from hub.integrations.executions.job import Ended, Job
from hub.integrations.executions.store import Result as End
from hub.integrations.executions.store import find_execution

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import Engine, Row

    from hub.access.principal import Principal
    from hub.flows.announcing import Announcer


def rules_of(flow: Row[Any], event_type: str | None) -> Publishing:
    """What a flow publishes, or the part of it that has this type.

    Raises:
        Invalid: that is nothing.
    """
    rules = [rule for rule in flow.publish if event_type in {None, rule["event_type"]}]
    if not rules:
        types = ", ".join(sorted({rule["event_type"] for rule in flow.publish})) or "nothing"
        text = f"the flow publishes {types}"
        raise Invalid(f"There is nothing to publish: {text}.", fields=(FieldError("event_type", text),))
    return Publishing(flow.name, rules)


def load_ends(
    engine: Engine, tenant_id: uuid.UUID, flow_id: uuid.UUID, executions: Sequence[uuid.UUID]
) -> list[Ended]:
    """The ends of executions that a flow started, each once, in the order that they are asked for.

    One statement for each.

    Raises:
        Invalid: it did not start all of them, or some have not ended; names each.
    """
    ends: list[Ended] = []
    faults: list[FieldError] = []
    with snapshot(engine) as conn:
        for at, execution_id in enumerate(executions):
            if execution_id in executions[:at]:
                continue
            row = find_execution(conn, tenant_id, execution_id)
            if row is None or row.flow_id != flow_id:
                faults.append(FieldError(f"executions.{at}", "is no execution that this flow started"))
            elif not State(row.state).finished:
                faults.append(FieldError(f"executions.{at}", f"has not ended: it is {row.state}"))
            else:
                ends.append(_ended(row))
    if faults:
        raise Invalid(
            "Nothing was published: not all of the executions can be told of.", fields=tuple(faults)
        )
    return ends


def republish(
    engine: Engine,
    announcer: Announcer,
    caller: Principal,
    flow: Row[Any],
    publishing: Publishing,
    ends: list[Ended],
) -> list[Published]:
    """Make the events and write those that can be made, with an entry in the audit log.

    Args:
        engine: the database.
        announcer: makes them.
        caller: who wants it.
        flow: of the table `flow`.
        publishing: its rules, or a part of them.
        ends: of executions that it started.
    """
    for one in ends:
        one.job.publish = publishing
        # Steps over a large event may take seconds: before the transaction.
        announcer.make(one)
    made = [(one.job, event) for one in ends for event in one.job.published]
    messages = [event for _, event in made if not isinstance(event, Unpublished)]
    with engine.begin() as conn:
        ring = announcer.publish(conn, messages)
        audit.note(
            conn,
            caller.tenant_id,
            caller.key_id,
            "flow.republished",
            format_id(Kind.FLOW, flow.id),
            {
                "name": flow.name,
                "executions": [format_id(Kind.EXECUTION, one.job.id) for one in ends],
                "events": len(messages),
                "failed": len(made) - len(messages),
            },
        )
    if ring is not None:
        ring()
    return [_published(job, event) for job, event in made]


def _published(job: Job, event: Any) -> Published:
    lost = isinstance(event, Unpublished)
    return Published(
        execution=format_id(Kind.EXECUTION, job.id),
        event_type=event.event_type if lost else event.type,
        event=None if lost else format_id(Kind.MESSAGE, event.id),
        why_not=event.why if lost else None,
    )


def _ended(row: Row[Any]) -> Ended:
    """The end as it was told when it came."""
    mapping = None if row.mapping is None else json.dumps(row.mapping)
    end = End(
        row.id,
        status=row.status,
        data=row.data,
        data_base64=row.data_base64,
        truncated=row.truncated,
        error=row.error,
    )
    return Ended(Job.of(row, input=row.input, mapping=mapping), State(row.state), row.reason, end)
