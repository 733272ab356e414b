"""Input and output of the integration and execution routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hub.integrations.retry import Strategy
from hub.web.choices import told_by

Status = Literal["active", "inactive", "maintenance", "deprecated"]
Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Headers = Annotated[dict[str, str], Field(max_length=30)]
Tag = Annotated[str, Field(min_length=1, max_length=64)]


class Input(BaseModel):
    """Unknown fields are refused: a misspelt option must not be ignored."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NoAuth(Input):
    """Calls carry no credentials."""

    mode: Literal["none"] = "none"


class ApiKeyAuth(Input):
    """A key in a header, a query parameter or a cookie."""

    mode: Literal["api_key"]
    in_: Literal["header", "query", "cookie"] = Field(default="header", alias="in")
    name: str = Field(
        default="X-API-Key", min_length=1, max_length=128, pattern=r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$"
    )
    key: SecretStr | None = Field(
        default=None, description="Write-only. Left out in an update: the stored one stays."
    )


class BasicAuth(Input):
    """User name and password."""

    mode: Literal["basic"]
    username: str = Field(max_length=256, pattern=r"^[^:\x00-\x1f\x7f]*$")
    password: SecretStr | None = Field(
        default=None, description="Write-only. Left out in an update: the stored one stays."
    )


class BearerAuth(Input):
    """A bearer token."""

    mode: Literal["bearer"]
    token: SecretStr | None = Field(
        default=None, description="Write-only. Left out in an update: the stored one stays."
    )


Auth = Annotated[NoAuth | ApiKeyAuth | BasicAuth | BearerAuth, Field(discriminator="mode"), told_by("mode")]


class Retry(Input):
    """How failed attempts are repeated."""

    max_retries: int = Field(default=3, ge=0, le=20)
    strategy: Strategy = "exponential"
    base_seconds: float = Field(default=1.0, ge=0.1, le=3600, allow_inf_nan=False)
    cap_seconds: float = Field(default=600.0, ge=0.1, le=86_400, allow_inf_nan=False)


class OperationIn(Input):
    """One named way to call the API."""

    method: Method = "GET"
    path: str = Field(
        default="/", max_length=4096, description="`/users/{id}`: parameters come from `input.path`."
    )
    description: str = Field(default="", max_length=1024)
    query: dict[str, Any] = Field(default={}, max_length=50, description="Defaults; the input's win.")
    headers: Headers = Field(default={}, description="Defaults; the input's win.")
    safe: bool | None = Field(default=None, description="It changes nothing. Unset: by the method.")
    idempotent: bool | None = Field(
        default=None,
        description="Doing it twice is doing it once, so it may be retried freely. Unset: by the method.",
    )


class HealthCheckIn(Input):
    """A call that tells whether the API is well."""

    interval_seconds: float = Field(default=60, ge=1, le=86_400, allow_inf_nan=False)
    method: Literal["GET", "HEAD"] = "GET"
    path: str = Field(default="/", max_length=4096)
    timeout_seconds: float = Field(default=3.0, ge=0.1, le=30, allow_inf_nan=False)
    expected_statuses: list[Annotated[int, Field(ge=200, le=599)]] = Field(
        default=[], max_length=20, description="Empty: any 2xx."
    )
    degraded_after_ms: float = Field(
        default=1000, gt=0, le=30_000, description="A slower answer is `degraded`."
    )
    unhealthy_after: int = Field(
        default=3, ge=1, le=100, description="Failures in a row until it is `unhealthy`."
    )


Operations = Annotated[
    dict[Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9_.\-]{0,63}$")], OperationIn], Field(max_length=500)
]


class IntegrationCreate(Input):
    """A new integration."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "crm",
                    "base_url": "https://api.example.com/v2",
                    "auth": {"mode": "bearer", "token": "the-token"},
                    "operations": {"get_user": {"method": "GET", "path": "/users/{id}"}},
                    "health_check": {"interval_seconds": 60, "path": "/health"},
                }
            ]
        },
    )

    name: Name
    description: str = Field(default="", max_length=4096)
    type: Literal["api"] = "api"
    protocol: Literal["rest"] = "rest"
    base_url: str = Field(
        min_length=1, max_length=2048, description="http or https; operations' paths are added to it."
    )
    auth: Auth = NoAuth()
    headers: Headers = Field(default={}, description="Sent with every call; not for credentials.")
    timeout_seconds: float = Field(
        default=30.0, ge=0.1, le=60, allow_inf_nan=False, description="For one whole call."
    )
    follow_redirects: int = Field(default=0, ge=0, le=3)
    retry_policy: Retry = Retry()
    operations: Operations = {}
    health_check: HealthCheckIn | None = None
    status: Status = "active"
    tags: list[Tag] = Field(default=[], max_length=50)


class IntegrationUpdate(Input):
    """Changes of an integration; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [{"status": "maintenance"}]}
    )

    name: Name = ""
    description: str = Field(default="", max_length=4096)
    base_url: str = Field(default="", min_length=1, max_length=2048)
    auth: Auth = NoAuth()
    headers: Headers = {}
    timeout_seconds: float = Field(default=30.0, ge=0.1, le=60, allow_inf_nan=False)
    follow_redirects: int = Field(default=0, ge=0, le=3)
    retry_policy: Retry = Retry()
    operations: Operations = {}
    health_check: HealthCheckIn | None = None
    status: Status = "active"
    tags: list[Tag] = Field(default=[], max_length=50)


class SecretView(BaseModel):
    """What may be shown of a secret."""

    last4: str
    fingerprint: str


class Integration(BaseModel):
    """An integration."""

    id: str
    name: str
    description: str
    type: str
    protocol: str
    base_url: str
    auth: dict[str, Any] = Field(
        description="The mode and its parameters; secrets only as last4 and fingerprint."
    )
    headers: dict[str, str]
    timeout_seconds: float
    follow_redirects: int
    retry_policy: Retry
    operations: dict[str, OperationIn]
    health_check: HealthCheckIn | None
    status: Status
    tags: list[str]
    version: int = Field(description="Also the ETag; send it as If-Match to change exactly this version.")
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class ExecuteIn(Input):
    """One operation to execute."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"operation": "get_user", "input": {"path": {"id": 42}}}]},
    )

    operation: str = Field(min_length=1, max_length=64)
    input: dict[str, Any] = Field(
        default={},
        description="`path`, `query`, `headers`, `body`; for the operation `request` also `method`.",
    )


class ExecuteBatchIn(Input):
    """Operations to execute, all accepted or none."""

    items: list[ExecuteIn] = Field(min_length=1, max_length=1000)


class TestIn(Input):
    """What a test calls: an operation, or the health check when there is none."""

    __test__ = False

    operation: str | None = Field(default=None, min_length=1, max_length=64)
    input: dict[str, Any] = {}


class ErrorView(BaseModel):
    """Why an execution failed."""

    type: str
    message: str
    recoverable: bool = Field(description="The same request may succeed later.")


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
    source: str = Field(description="The door: http, celery or sql.")
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

    input: Any
    result: Result | None
    attempt_log: list[Attempt]


class Accepted(BaseModel):
    """An execution that is stored and will be made."""

    id: str
    state: str


class AcceptedBatch(BaseModel):
    """One entry for each item, in order."""

    data: list[Accepted]


class TestOutcome(BaseModel):
    """What a test call brought."""

    __test__ = False

    ok: bool
    status: int | None
    error: ErrorView | None
    latency_ms: float
    timings: dict[str, float | None]
    peer: str | None
    result: Result
