"""Input and output of the routes of integrations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from hub.integrations.forms import Form, Headers
from hub.integrations.registry.kinds import Protocol, Status, Type
from hub.integrations.registry.policies import (
    Access,
    Alert,
    Caching,
    DataPolicy,
    ErrorRule,
    HealthCheckIn,
    Logging,
    Quota,
    RateLimit,
    Retry,
    Tls,
)

Name = Annotated[str, Field(min_length=1, max_length=128)]
Tag = Annotated[str, Field(min_length=1, max_length=64)]
Steps = Annotated[list[Any], Field(max_length=50)]


OperationName = Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9_.\-]{0,63}$")]
Operations = Annotated[
    dict[OperationName, dict[str, Any]],
    Field(
        max_length=500,
        description="By name. What they are made of depends on the transport; `GET /v1/integration-kinds` tells.",
    ),
]


class Definition(Form):
    """Everything that an integration is, but for its name and address."""

    description: str = Field(default="", max_length=4096)
    settings: dict[str, Any] = Field(
        default={}, description="The transport's own; `GET /v1/integration-kinds` tells its form."
    )
    auth: dict[str, Any] = Field(
        default={"mode": "none"},
        description="`mode` and what it needs; `GET /v1/integration-kinds` tells the forms.",
    )
    tls: Tls | None = None
    headers: Headers = Field(default={}, description="Sent with every call; not for credentials.")
    timeout_seconds: float = Field(
        default=30.0, ge=0.1, le=600, allow_inf_nan=False, description="For one whole call."
    )
    max_response_bytes: int = Field(
        default=1_048_576, ge=1024, le=16_777_216, description="A longer answer is a failure (`too_large`)."
    )
    follow_redirects: int = Field(default=0, ge=0, le=3)
    retry_policy: Retry = Retry()
    operations: Operations = {}
    request_transform: Steps = Field(default=[], description="Steps over every operation's input.")
    response_transform: Steps = Field(default=[], description="Steps over every answer's data.")
    error_mapping: list[ErrorRule] = Field(default=[], max_length=50)
    rate_limit: RateLimit = RateLimit()
    caching: Caching = Caching()
    quota: Quota = Quota()
    access: Access = Access()
    data_policy: DataPolicy = DataPolicy()
    logging: Logging = Logging()
    health_check: HealthCheckIn | None = None
    alerts: list[Alert] = Field(default=[], max_length=20)
    status: Status = Field(
        default="active",
        description="`deprecated` works and says so; in `maintenance` executions are accepted and wait; `inactive`"
        " refuses them; those that wait, and what flows and schedules start, wait until it is active.",
    )
    tags: list[Tag] = Field(default=[], max_length=50)


class IntegrationCreate(Definition):
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
    type: Type = "api"
    protocol: Protocol | None = Field(default=None, description="Unset: the first that the type speaks.")
    base_url: str = Field(
        min_length=1,
        max_length=2048,
        description="Its scheme is one of the transport's; no credentials in it.",
    )


class IntegrationUpdate(Definition):
    """Changes of an integration; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [{"status": "maintenance"}]}
    )

    name: Name = ""
    base_url: str = Field(default="", min_length=1, max_length=2048)


class SecretView(Form):
    """What may be shown of a secret."""

    last4: str
    fingerprint: str


class Integration(Form):
    """An integration."""

    id: str
    name: str
    description: str
    type: str
    protocol: str
    base_url: str
    settings: dict[str, Any]
    auth: dict[str, Any] = Field(
        description="The mode and its parameters; secrets only as last4 and fingerprint."
    )
    tls: dict[str, Any] | None
    headers: dict[str, str]
    timeout_seconds: float
    max_response_bytes: int
    follow_redirects: int
    retry_policy: Retry
    operations: dict[str, dict[str, Any]]
    request_transform: list[Any]
    response_transform: list[Any]
    error_mapping: list[ErrorRule]
    rate_limit: RateLimit
    caching: Caching
    quota: Quota
    access: Access
    data_policy: DataPolicy
    logging: Logging
    health_check: HealthCheckIn | None
    alerts: list[Alert]
    status: Status
    tags: list[str]
    version: int = Field(description="Also the ETag; send it as If-Match to change exactly this version.")
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class IntegrationVersion(Form):
    """One version of a definition."""

    version: int
    changed_by: str | None
    created_at: datetime


class IntegrationVersionDetail(IntegrationVersion):
    """A version with its document; secrets are not in it."""

    document: dict[str, Any]


class Change(Form):
    """One place where two versions differ; None where one of them has nothing."""

    path: str
    before: Any
    after: Any


class RollbackIn(Form):
    """The secrets that an old version needs and that are not stored any more."""

    auth: dict[str, Any] = Field(
        default={}, description='Put over `auth` of the old version, such as `{"token": "…"}`.'
    )
    tls: dict[str, Any] = Field(default={}, description='Put over its `tls`, such as `{"key": "…"}`.')


class Difference(Form):
    """What changed from one version to another."""

    from_version: int
    to_version: int
    changes: list[Change]
