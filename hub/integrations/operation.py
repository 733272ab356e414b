"""What every operation has, whatever transport makes it; a transport's own form adds how it is called."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hub.integrations.forms import Form


class OperationForm(Form):
    """One named way to call an integration. Transports subclass it."""

    description: str = Field(default="", max_length=1024)
    safe: bool | None = Field(default=None, description="It changes nothing. Unset: as the transport tells.")
    idempotent: bool | None = Field(
        default=None,
        description="Doing it twice is doing it once, so it may be retried freely. Unset: as the transport tells.",
    )
    timeout_seconds: float | None = Field(
        default=None, ge=0.1, le=600, allow_inf_nan=False, description="Unset: the integration's."
    )
    input_schema: dict[str, Any] | bool | None = Field(
        default=None, description="JSON Schema (2020-12) of the input, after the request steps."
    )
    request_transform: list[Any] = Field(
        default=[], description="Steps over the input, after the integration's own."
    )
    response_transform: list[Any] = Field(
        default=[], description="Steps over the answer's data, after the integration's own."
    )
    cost: int = Field(default=1, ge=1, le=1000, description="What one call takes from the rate limits.")
    cache_seconds: float | None = Field(
        default=None,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="How long an answer is kept, for safe operations; 0 is never. Unset: the integration's.",
    )
    deprecated: bool = False
