"""The parts of a definition that say how its calls are made, limited, kept and watched."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from hub.integrations.forms import Form
from hub.integrations.pipeline.retry import Strategy
from hub.limits.rates import MAX_RATE


class Retry(Form):
    """How failed attempts are repeated."""

    max_retries: int = Field(default=3, ge=0, le=20)
    strategy: Strategy = "exponential"
    base_seconds: float = Field(default=1.0, ge=0.1, le=3600, allow_inf_nan=False)
    cap_seconds: float = Field(default=600.0, ge=0.1, le=86_400, allow_inf_nan=False)


class Tls(Form):
    """Who the hub is, and whom it trusts, in TLS handshakes with this service."""

    certificate: str | None = Field(
        default=None,
        max_length=65_536,
        description="PEM, with its chain: shown to a server that asks for one.",
    )
    key: SecretStr | None = Field(
        default=None, description="PEM. Write-only. Left out in an update: the stored one stays."
    )
    ca: str | None = Field(
        default=None, max_length=262_144, description="PEM: trusted in place of the usual authorities."
    )


class ErrorCondition(Form):
    """When a rule holds: every part that is given must hold."""

    statuses: list[int | Literal["2xx", "3xx", "4xx", "5xx"]] = Field(default=[], max_length=50)
    error_classes: list[str] = Field(
        default=[], max_length=20, description="Such as `timeout` or `http_5xx`."
    )
    headers: dict[str, str] = Field(
        default={}, max_length=10, description="Name and a pattern (RE2) that its value has somewhere."
    )
    body: dict[str, Any] | None = Field(default=None, description="A filter over the answer's JSON.")


class ErrorRule(Form):
    """What an answer means. Rules are tried in order; the first that holds decides."""

    when: ErrorCondition = ErrorCondition()
    then: Literal["retry", "fail", "ignore", "rate_limited", "refresh_credential"]
    message: str | None = Field(
        default=None, max_length=1024, description="A template over `status`, `headers` and `body`."
    )


class Rate(Form):
    """So many calls in so much time."""

    limit: int = Field(ge=1, le=1_000_000)
    per_seconds: float = Field(default=1.0, ge=0.01, le=86_400, allow_inf_nan=False)
    burst: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Calls at once after a rest. Unset: one, or a tenth of a second.",
    )
    by: Literal["integration", "caller", "user"] = Field(
        default="integration", description="Counted for all together, each API key, or each `user`."
    )

    @model_validator(mode="after")
    def _can_be_counted(self) -> Self:
        if self.limit / self.per_seconds > MAX_RATE:
            raise ValueError(f"must be at most {MAX_RATE:,.0f} calls a second")
        return self


class RateLimit(Form):
    """How much of the service's patience the hub may use, over all workers."""

    limits: list[Rate] = Field(default=[], max_length=5)
    max_concurrent: int | None = Field(default=None, ge=1, le=10_000, description="Calls at once.")
    on_limit: Literal["wait", "reject"] = Field(
        default="wait", description="`wait`: back to the ledger until there is room, which costs no attempt."
    )
    learn: bool = Field(
        default=True, description="Pause when the service's own headers say that it is enough."
    )
    on_outage: Literal["open", "closed"] = Field(
        default="open", description="Without Redis: call without limits, or not at all."
    )


class Caching(Form):
    """Answers of safe operations that are given again."""

    ttl_seconds: float = Field(
        default=0,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="0, a `data_policy.store` other than `all`, or paths in answers in `data_policy.redact`: nothing is"
        " kept.",
    )


class Quota(Form):
    """How much may be used; unset is unlimited. Days and months are UTC."""

    calls_per_day: int | None = Field(default=None, ge=0)
    calls_per_month: int | None = Field(default=None, ge=0)
    bytes_per_day: int | None = Field(default=None, ge=0, description="Of answers.")
    bytes_per_month: int | None = Field(default=None, ge=0)
    on_exceeded: Literal["reject", "wait"] = Field(
        default="reject", description="`wait`: until the day or month is over."
    )


class Access(Form):
    """Who may call what. An empty list is everybody."""

    allowed_operations: list[Annotated[str, Field(min_length=1, max_length=65)]] = Field(
        default=["*"], max_length=500, description="Names, or beginnings with `*` at the end."
    )
    api_keys: list[Annotated[str, StringConstraints(pattern=r"^key_[0-9a-fA-F]{32}$", to_lower=True)]] = (
        Field(default=[], max_length=500)
    )
    users: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(
        default=[], max_length=500, description="As callers give them in `user`."
    )
    roles: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        default=[], max_length=100, description="Of API keys."
    )


class DataPolicy(Form):
    """What is kept of executions, and how long."""

    retention_days: int | None = Field(
        default=None, ge=1, le=3650, description="Unset, or over the deployment's: the deployment's."
    )
    store: Literal["all", "errors", "none"] = Field(
        default="all", description="Inputs and answers of all executions, of failed ones, or of none."
    )
    redact: list[Annotated[str, Field(min_length=1, max_length=512)]] = Field(
        default=[],
        max_length=100,
        description="Paths in inputs (`input.…`) and answers (`data.…`) that are masked. With paths in inputs, no event"
        " of a flow is kept with its execution, nor what was sent; with paths in answers, no answer is cached.",
    )


class Logging(Form):
    """Which finished executions the workers' log tells of."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="error",
        description="`error` failures, `warning` also retries, `info` all, `debug` with timings.",
    )


class Alert(Form):
    """When somebody has to be told: an event `integration.alert` for endpoints of kind `operations`, once each way."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")
    metric: Literal["health", "error_rate", "latency_p95_ms", "throughput_per_minute"] = Field(
        description="`health` is that of the checks: 1 degraded, 2 unhealthy. An error rate is 0 to 1."
    )
    at_least: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="Fires from this value on."
    )
    at_most: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="Fires up to this value."
    )
    minutes: int = Field(default=5, ge=1, le=1440, description="Over the calls of so many whole minutes.")
    min_calls: int = Field(default=10, ge=1, le=1_000_000, description="Says nothing about fewer calls.")


class HealthCheckIn(Form):
    """A call that tells whether the service is well."""

    interval_seconds: float = Field(default=60, ge=1, le=86_400, allow_inf_nan=False)
    operation: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="A safe operation. Unset: the transport's own probe.",
    )
    input: dict[str, Any] = {}
    method: Literal["GET", "HEAD"] = "GET"
    path: str = Field(default="/", max_length=4096, description="Of the probe, for HTTP services.")
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
