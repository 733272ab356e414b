"""Input and output of the replay routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from hub.webhooks.matching import LABEL_RULE, MAX_LABELS, is_label, is_pattern
from hub.webhooks.replay.criteria import RESPONSE
from hub.webhooks.replay.pacing import DEFAULT_RATE, MAX_RATE

#: What a job may look for: how a delivery ended, or that it waits for a retry.
Wanted = Literal["done", "failed", "cancelled", "expired", "skipped", "due"]


class Input(BaseModel):
    """Unknown fields are refused: a misspelt option must not be ignored."""

    model_config = ConfigDict(extra="forbid")


class ReplayCreate(Input):
    """A new replay."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "kind": "failed",
                    "endpoint": "ep_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e",
                    "since": "2026-11-22T18:00:00Z",
                    "rate": 50,
                }
            ]
        },
    )

    kind: Literal["failed", "missing", "filter", "all"] = Field(
        description="`failed`: deliveries that ended so; `missing`: events without a delivery to an endpoint that takes"
        " them now; `filter`: deliveries that match the conditions below; `all`: every event again, to every endpoint"
        " that takes it now, also what was delivered."
    )
    endpoint: str | None = Field(default=None, max_length=64, description="Unset: all endpoints.")
    since: AwareDatetime = Field(description="Of events that were accepted from this moment on.")
    until: AwareDatetime | None = Field(
        default=None, description="And before this one. Unset, or later than now: now."
    )
    states: list[Wanted] | None = Field(
        default=None,
        min_length=1,
        max_length=6,
        description="For `failed` and `filter`: deliveries that ended so; `failed` when unset. `due`: those that wait"
        " for a retry, which is made now in place of later. `done` only with `filter`. What its endpoint's filter"
        " skipped goes if that would take it now. An event that is past its `expires_at` expires again.",
    )
    event_types: list[str] = Field(
        default=[], max_length=100, description="Only events of these types, or prefixes such as `invoice.*`."
    )
    labels: list[str] = Field(
        default=[], max_length=MAX_LABELS, description="Only events that carry one of these."
    )
    response: list[str] = Field(
        default=[],
        max_length=20,
        description="For `failed` and `filter`: what the last attempt was answered with, such as `5xx`, `404`, or"
        " `none` for no answer.",
    )
    filter: dict[str, Any] | None = Field(
        default=None, description="Only events for which it holds; see the filters of endpoints."
    )
    rate: Annotated[float, Field(gt=0, le=MAX_RATE, allow_inf_nan=False)] = Field(
        default=DEFAULT_RATE, description="Deliveries a second that become due."
    )
    dry_run: bool = Field(default=False, description="Count, write nothing.")

    @field_validator("event_types")
    @classmethod
    def _patterns(cls, value: list[str]) -> list[str]:
        return _each(value, is_pattern, "expected an event type, a prefix such as `invoice.*`, or `*`")

    @field_validator("labels")
    @classmethod
    def _labels(cls, value: list[str]) -> list[str]:
        return _each(value, is_label, LABEL_RULE)

    @field_validator("response")
    @classmethod
    def _response(cls, value: list[str]) -> list[str]:
        return _each(
            value,
            lambda one: RESPONSE.fullmatch(one) is not None,
            "expected `5xx`, a status such as `404`, or `none`",
        )


def _each(value: list[str], good: Any, rule: str) -> list[str]:
    bad = [text for text in value if not good(text)]
    if bad:
        raise ValueError(f"{', '.join(bad[:5])}: {rule}")
    return value


_WAITING = (
    "Deliveries that were left alone because they wait for a retry, and match otherwise. With `due` among the `states`,"
    ' such as `["failed", "due"]`, they go now. Only for `failed` and `filter`.'
)


class Replay(BaseModel):
    """A job that sends events again."""

    id: str
    kind: str
    state: Literal["pending", "running", "paused", "done", "cancelled", "failed"]
    reason: str | None = Field(description="Why it failed: `endpoint_deleted` or `errors`.")
    error: str | None = Field(description="What went wrong last.")
    endpoint: str | None
    since: datetime
    until: datetime
    states: list[str]
    event_types: list[str]
    labels: list[str]
    response: list[str]
    filter: dict[str, Any] | None
    rate: float
    progress: float = Field(description="How much was looked through, 0 to 1.")
    scanned: int = Field(description="Deliveries, or for `missing` and `all` events, that were looked at.")
    selected: int = Field(description="Deliveries that match.")
    requeued: int = Field(
        description="Of these, how many became due; the others were sent by somebody else meanwhile."
    )
    waiting: int = Field(description=_WAITING)
    estimated_total: int | None = Field(
        description="What `selected` will be at the end, as far as one can tell."
    )
    worker: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ReplayDetail(Replay):
    """A job, with what became of the deliveries that it sent again."""

    outcomes: dict[str, int] = Field(description="State of these deliveries now → how many.")
    outcomes_complete: bool = Field(description="False: only of the last 10,000.")
    held_endpoints: int = Field(
        description="Endpoints that are paused, disabled or failing: what is for them waits until they are not."
    )


class Count(BaseModel):
    """How many deliveries to one endpoint would be sent again."""

    endpoint: str
    state: str = Field(description="What it is in now; `missing`: it would be made.")
    count: int


class Sample(BaseModel):
    """One delivery that would be sent again."""

    event: str
    endpoint: str
    delivery: str | None
    state: str


class DryRun(BaseModel):
    """What a replay would do; nothing was written."""

    dry_run: Literal[True] = True
    total: int
    waiting: int = Field(description=_WAITING)
    counts: list[Count] = Field(description="The largest first, 250 at most.")
    sample: list[Sample]
    scanned: int
    complete: bool = Field(
        description="False: the count was stopped after 50,000 rows or 5 seconds; there may be more."
    )
    held_endpoints: int


class EventResend(Input):
    """Where an event is sent again."""

    endpoint: str | None = Field(
        default=None, max_length=64, description="Unset: to every endpoint that takes it now."
    )


class EventResent(BaseModel):
    """What became due."""

    event: str
    deliveries: list[str]
