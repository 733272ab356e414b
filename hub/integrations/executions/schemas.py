"""Input and output of the routes of executions and schedules."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.integrations.forms import Form


class ExecuteIn(Form):
    """One operation to execute."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"operation": "get_user", "input": {"path": {"id": 42}}}]},
    )

    operation: str = Field(min_length=1, max_length=64)
    input: dict[str, Any] = Field(
        default={},
        description="What the operation takes; with REST `path`, `query`, `headers`, `body`,"
        " for the operation `request` also `method`.",
    )
    user: str | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="On whose behalf; for access rules and limits.",
    )
    component: str | None = Field(
        default=None, min_length=1, max_length=128, description="Which part of your system asks."
    )
    not_before: datetime | None = Field(default=None, description="Accepted now, made then at the earliest.")


class ExecuteBatchIn(Form):
    """Operations to execute, all accepted or none."""

    items: list[ExecuteIn] = Field(min_length=1, max_length=1000)


class ReplayIn(Form):
    """What is to be different when an execution is made once more; what is left out is as it was."""

    operation: str | None = Field(default=None, min_length=1, max_length=64)
    input: dict[str, Any] | None = Field(
        default=None,
        description="As the operation takes it. Unset: that of the execution; of what a flow started the event, which"
        " goes through the flow's mapping as it was then, and whose end the flow publishes.",
    )


class DryRunIn(Form):
    """An operation that is only tried in thought."""

    operation: str = Field(min_length=1, max_length=64)
    input: dict[str, Any] = {}
    user: str | None = Field(default=None, min_length=1, max_length=256)


class LinkView(BaseModel):
    """What one link of the chain would do."""

    link: str
    ms: float
    result: str = Field(description="`passed`, or why the call would end here.")
    message: str | None = None
    note: Any = None


class RequestView(BaseModel):
    """What would be sent, without credentials."""

    method: str
    endpoint: str
    headers: dict[str, str]
    payload: Any


class DryRun(BaseModel):
    """What would happen: every link up to the call, which is not made."""

    would_call: bool
    links: list[LinkView]
    request: RequestView | None = Field(
        description="What would be sent; null when the input makes no request."
    )
    curl: str | None = Field(
        description="The same request as a curl command (grpcurl for gRPC), `***` for credentials."
    )
    curl_note: str | None = Field(
        description="What the command leaves out, or why there is none; null: it is complete."
    )


class UsageOfPeriod(BaseModel):
    """What was used in a day or a month (UTC), and how much of it there is; null is unlimited."""

    begins: date
    calls: int
    calls_limit: int | None
    bytes: int = Field(description="Of answers.")
    bytes_limit: int | None


class Usage(BaseModel):
    """What was used of an integration. Only integrations with a quota are counted."""

    counted: bool
    day: UsageOfPeriod
    month: UsageOfPeriod


class TestIn(Form):
    """What a test calls: an operation, or the health check when there is none."""

    __test__ = False

    operation: str | None = Field(default=None, min_length=1, max_length=64)
    input: dict[str, Any] = {}


class ErrorView(BaseModel):
    """Why an execution failed."""

    type: str
    message: str
    recoverable: bool = Field(description="The same request may succeed later.")
    request_id: str | None = Field(default=None, description="The service's own name for the request.")


class Result(BaseModel):
    """What the API answered."""

    status: int | None
    headers: dict[str, str] | None
    data: Any = Field(description="A JSON value, a text, or base64: see `encoding`.")
    encoding: Literal["json", "text", "base64"]
    truncated: bool


class Metrics(BaseModel):
    """What an execution took."""

    latency_ms: float | None
    data_size: int | None
    retry_count: int
    transformation_ms: float | None = Field(
        default=None, description="Of the steps of its flow, and over input and answer."
    )
    links: dict[str, float] | None = Field(
        default=None,
        description="Milliseconds of the last attempt, by link, up to the one that ended it.",
    )
    usage: dict[str, float] | None = Field(default=None, description="Tokens and cost, of AI services.")


class Attempt(BaseModel):
    """One call; times in milliseconds."""

    id: str
    number: int
    worker: str | None
    started_at: datetime
    outcome: str
    late: bool
    error_class: str | None
    message: str | None
    status: int | None
    peer: str | None
    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float | None
    response_headers: dict[str, str] | None
    response_body: str | None = Field(description="The beginning of a failed answer.")
    truncated: bool


class Execution(BaseModel):
    """One operation that was asked for."""

    id: str
    integration: str
    operation: str
    source: str = Field(description="The door: http, celery, sql, schedule, flow or replay.")
    caller: str | None = Field(description="The API key.")
    user: str | None
    component: str | None
    batch: str | None
    schedule: str | None
    replay_of: str | None
    event: str | None = Field(description="The event that started it.")
    flow: str | None
    trace_id: str | None
    cached: bool
    state: str
    reason: str | None
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    status: int | None = Field(description="HTTP status of the last answer.")
    error: ErrorView | None
    metrics: Metrics


class ExecutionDetail(Execution):
    """An execution with its input, result and attempts, oldest first."""

    input: Any = Field(description="What was asked for; of what a flow started, the event.")
    request: dict[str, Any] | None = Field(
        description="What was sent, without credentials: method, endpoint, headers, and `payload` where it is not"
        " what the input says. Of a long payload the beginning, and `payload_truncated`."
    )
    result: Result | None
    attempt_log: list[Attempt]


class Accepted(BaseModel):
    """An execution that is stored and will be made."""

    id: str
    state: str


class AcceptedBatch(BaseModel):
    """One entry for each item, in order."""

    id: str
    data: list[Accepted]


class Batch(BaseModel):
    """How far a batch is: executions by state."""

    id: str
    total: int
    finished: int
    states: dict[str, int]


class ScheduleIn(Form):
    """An operation that is executed at times of the clock: either `cron` or `every_seconds`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "nightly-sync",
                    "operation": "sync",
                    "cron": "30 2 * * *",
                    "timezone": "Europe/Berlin",
                }
            ]
        },
    )

    name: str = Field(min_length=1, max_length=128)
    operation: str = Field(min_length=1, max_length=64)
    input: dict[str, Any] = {}
    cron: str | None = Field(
        default=None, max_length=128, description="Five fields: minute hour day month weekday."
    )
    timezone: str = Field(default="UTC", max_length=64)
    every_seconds: float | None = Field(default=None, ge=1, le=31_536_000, allow_inf_nan=False)
    overlap: Literal["skip", "allow"] = Field(
        default="skip", description="`skip`: not while the one before has not finished."
    )
    paused: bool = False


class ScheduleUpdate(Form):
    """Changes of a schedule; what is left out stays."""

    name: str = Field(default="", min_length=1, max_length=128)
    operation: str = Field(default="", min_length=1, max_length=64)
    input: dict[str, Any] = {}
    cron: str | None = Field(default=None, max_length=128)
    timezone: str = Field(default="UTC", max_length=64)
    every_seconds: float | None = Field(default=None, ge=1, le=31_536_000, allow_inf_nan=False)
    overlap: Literal["skip", "allow"] = "skip"
    paused: bool = False


class Schedule(BaseModel):
    """A schedule."""

    id: str
    integration: str
    name: str
    operation: str
    input: Any
    cron: str | None
    timezone: str
    every_seconds: float | None
    overlap: str
    paused: bool
    next_at: datetime | None
    last_at: datetime | None
    last_execution: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class TestOutcome(BaseModel):
    """What a test call brought."""

    __test__ = False

    ok: bool
    links: dict[str, float] = Field(default={}, description="Milliseconds by link of the chain.")
    status: int | None
    error: ErrorView | None
    latency_ms: float
    timings: dict[str, float | None]
    peer: str | None
    result: Result
