"""Output of the monitoring routes."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from hub.monitoring.health import Status


class Window(BaseModel):
    """The calls of one window; rates are null when there was none."""

    calls: int
    failed: int
    success_rate: float | None = Field(description="0 to 1.")
    average_latency_ms: float | None
    p95_latency_ms: float | None = Field(description="Estimated from a histogram.")
    throughput_per_second: float
    bytes: int


class Windows(BaseModel):
    """The same numbers over several spans of time."""

    last_5m: Window = Field(serialization_alias="5m")
    last_1h: Window = Field(serialization_alias="1h")
    last_24h: Window = Field(serialization_alias="24h")


class Check(BaseModel):
    """One health check."""

    id: str
    scheduled_for: datetime
    state: str
    ok: bool | None
    status: int | None
    latency_ms: float | None
    error_class: str | None
    message: str | None


class IntegrationHealth(BaseModel):
    """How an integration is, and how its calls went."""

    integration: str
    status: Status = Field(
        description="Of its checks; `unknown` before the first one and without any. A check that cannot be made for"
        " want of credentials (a person has to connect it again, or a secret cannot be read) has failed."
    )
    since: datetime | None
    last_check_at: datetime | None
    last_latency_ms: float | None
    consecutive_failures: int
    last_error: str | None
    next_check_at: datetime | None
    calls: Windows = Field(description="Attempts of executions.")
    checks: Windows = Field(description="Health checks.")
    last_checks: list[Check] = Field(description="Newest first.")


class HealthChange(BaseModel):
    """One change of an integration's health."""

    at: datetime
    from_status: Status
    to_status: Status
    reason: str


class Summary(BaseModel):
    """A tenant at a glance."""

    integrations: dict[Status, int] = Field(description="How many are how; `unknown` has no health check.")
    executions: dict[str, int] = Field(description="Executions that are not finished, by state.")
    calls: Windows
    checks: Windows


class AlertState(BaseModel):
    """How one alert is."""

    name: str
    firing: bool
    since: datetime | None = Field(description="When it last began, or was over.")
    value: float | None = Field(description="What it was then.")
