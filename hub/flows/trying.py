"""A flow tried with a sample event: would it start, with what input, and what would be sent?"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hub.core.ids import new_uuid
from hub.flows.checking import is_own
from hub.flows.schemas import FlowTest
from hub.integrations.executions.accepting import Caller, Refused, check_access
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.call import Context
from hub.transforms import compile_filter
from hub.webhooks.envelope import timestamp_of
from hub.webhooks.matching import matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from hub.flows.schemas import FlowTestIn, WhyNot
    from hub.integrations.pipeline.call import Tools
    from hub.integrations.target import Target


def try_flow(
    row: Row[Any], target: Target, sample: FlowTestIn, tools: Tools, *, roles: Sequence[str]
) -> FlowTest:
    """Try a flow.

    Args:
        row: of the table `flow`.
        target: its integration; secrets may be closed.
        sample: the event.
        tools: for expressions.
        roles: of the key that made the flow, which it acts for.
    """
    event = {"type": sample.type, "timestamp": timestamp_of(datetime.now(UTC)), "data": sample.data}
    why_not = _why_not(row, target, sample, event, roles)
    context = Context(new_uuid(), mapping=json.dumps(row.mapping), dry=True)
    links = chain.dry_run(replace(target, broken=None), row.operation, event, context, tools)
    mapped = next((link.get("note") for link in links if link["link"] == "flow"), None)
    return FlowTest(
        starts=why_not is None,
        why_not=why_not,
        input=None if mapped is None else mapped["input"],
        would_call=why_not is None and all(link["result"] == "passed" for link in links),
        links=links,
    )


def _why_not(
    row: Row[Any], target: Target, sample: FlowTestIn, event: dict[str, Any], roles: Sequence[str]
) -> WhyNot | None:
    """What keeps the flow from starting; first of all what of it does not take the event."""
    if is_own(sample.type) or not matches(tuple(row.event_types), sample.type):
        return "event_types"
    if row.labels and set(row.labels).isdisjoint(sample.labels):
        return "labels"
    if row.filter is not None and not compile_filter(row.filter).matches(event):
        return "filter"
    try:
        check_access(target.access, Caller(row.created_by, roles), None)
    except Refused:
        return "access_rules"
    return "pause" if row.paused else None
