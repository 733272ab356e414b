"""Input and output of the routes of flows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.integrations.forms import Form

Pattern = Annotated[str, Field(min_length=1, max_length=128)]
Steps = Annotated[list[Any], Field(max_length=50)]


class PublishRule(Form):
    """An event that the end of the operation is."""

    on: Literal["succeeded", "failed", "ended"] = "succeeded"
    event_type: str = Field(min_length=1, max_length=128)
    mapping: Steps = Field(
        default=[],
        description="Steps over `event`, `status`, `data`, `error` and `execution`; what they make is the event's data."
        " Without any it is all of that but `event`.",
    )


class FlowIn(Form):
    """An event that starts an operation."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "order-to-crm",
                    "event_types": ["order.paid"],
                    "filter": {"data.total": {"$gt": 100}},
                    "integration": "int_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e",
                    "operation": "create_deal",
                    "mapping": [{"rename": {"data": "body"}}, {"pick": ["body"]}],
                    "publish": [{"on": "succeeded", "event_type": "deal.created"}],
                }
            ]
        },
    )

    name: str = Field(min_length=1, max_length=128)
    description: str = Field(default="", max_length=4096)
    event_types: list[Pattern] = Field(
        min_length=1,
        max_length=100,
        description="Types, beginnings such as `order.*`, or `*`. The hub's own events (`execution.failed` …) start"
        " no flow.",
    )
    labels: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        default=[], max_length=20, description="Only events that carry one of them."
    )
    filter: dict[str, Any] | None = None
    integration: str
    operation: str = Field(min_length=1, max_length=64)
    mapping: Steps = Field(
        default=[], description="Steps that make the operation's input of `type`, `timestamp` and `data`."
    )
    publish: list[PublishRule] = Field(default=[], max_length=10)
    paused: bool = False


class FlowUpdate(Form):
    """Changes of a flow; what is left out stays."""

    name: str = Field(default="", min_length=1, max_length=128)
    description: str = Field(default="", max_length=4096)
    event_types: list[Pattern] = Field(default=[], min_length=1, max_length=100)
    labels: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(default=[], max_length=20)
    filter: dict[str, Any] | None = None
    integration: str = ""
    operation: str = Field(default="", min_length=1, max_length=64)
    mapping: Steps = []
    publish: list[PublishRule] = Field(default=[], max_length=10)
    paused: bool = False


class Flow(BaseModel):
    """A flow."""

    id: str
    name: str
    description: str
    event_types: list[str]
    labels: list[str]
    filter: dict[str, Any] | None
    integration: str
    operation: str
    mapping: list[Any]
    publish: list[PublishRule]
    paused: bool
    version: int
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class FlowTestIn(Form):
    """A sample event."""

    type: str = Field(min_length=1, max_length=128)
    data: Any = None
    labels: list[str] = []


class FlowPublishIn(Form):
    """Executions whose end is to be published once more."""

    executions: list[str] = Field(
        min_length=1, max_length=20, description="Executions that the flow started and that have ended."
    )
    event_type: str | None = Field(
        default=None,
        max_length=128,
        description="Only the flow's rules for this type; without it, all of them.",
    )


class Published(BaseModel):
    """An event that was published, or why it was not."""

    execution: str
    event_type: str | None
    event: str | None = Field(description="Its id; null when it could not be made.")
    why_not: str | None


class FlowPublished(BaseModel):
    """What became of the flow's rules, for each execution whose end they are about."""

    data: list[Published]


WhyNot = Literal["event_types", "labels", "filter", "access_rules", "pause"]


class FlowTest(BaseModel):
    """What a sample event would start."""

    starts: bool
    why_not: WhyNot | None = Field(
        description="What of the flow does not take it. `event_types` also takes none of the hub's own events;"
        " `access_rules` are those of the integration, which refuse the key that made the flow."
    )
    input: Any = Field(description="What the mapping makes of it.")
    would_call: bool
    links: list[dict[str, Any]] = Field(description="As a dry run of the operation shows them.")
