"""A flow tried with a sample event: would it start, with what input, and what would be sent?"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hub.core.ids import new_uuid
from hub.flows.schemas import FlowTest
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.call import Context
from hub.transforms import compile_filter
from hub.webhooks.envelope import timestamp_of
from hub.webhooks.matching import matches

if TYPE_CHECKING:
    from sqlalchemy import Row

    from hub.flows.schemas import FlowTestIn
    from hub.integrations.pipeline.call import Tools
    from hub.integrations.target import Target


def try_flow(row: Row[Any], target: Target, sample: FlowTestIn, tools: Tools) -> FlowTest:
    """Try a flow.

    Args:
        row: of the table `flow`.
        target: its integration; secrets may be closed.
        sample: the event.
        tools: for expressions.
    """
    event = {"type": sample.type, "timestamp": timestamp_of(datetime.now(UTC)), "data": sample.data}
    why_not = None
    if not matches(tuple(row.event_types), sample.type):
        why_not = "event_types"
    elif row.labels and set(row.labels).isdisjoint(sample.labels):
        why_not = "labels"
    elif row.filter is not None and not compile_filter(row.filter).matches(event):
        why_not = "filter"
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
