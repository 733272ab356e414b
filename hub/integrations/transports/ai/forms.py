"""What an integration with a service of language models looks like."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hub.integrations.forms import Form
from hub.integrations.operation import OperationForm

DialectName = Literal["openai_chat", "openai_responses", "anthropic_messages", "openai_compatible"]
Action = Literal["chat", "embeddings", "list_models"]
Model = Annotated[str, Field(max_length=256)]
Amount = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class Price(Form):
    """Of one model, for a million tokens, in a currency of your own choice."""

    input_per_million: Amount
    output_per_million: Amount
    cached_input_per_million: Amount | None = Field(
        default=None, description="Input that the service had kept. Unset: as other input."
    )
    cache_write_per_million: Amount | None = Field(
        default=None, description="Input that the service keeps from now on. Unset: as other input."
    )


class AiSettings(Form):
    """How the service is spoken to. `base_url` ends with its version: `https://api.openai.com/v1`."""

    dialect: DialectName = Field(
        description="openai_compatible: the shape of openai_chat without what only OpenAI itself has."
    )
    model: Model = Field(default="", description="Used where neither the operation nor the input names one.")
    prices: Annotated[dict[Annotated[str, Field(max_length=256)], Price], Field(max_length=200)] = Field(
        default={}, description="By model. With one, every answer says what it cost."
    )
    anthropic_version: str = Field(
        default="2023-06-01",
        pattern=r"^[A-Za-z0-9.\-]{1,64}$",
        description="The header anthropic-version, for that dialect.",
    )


class AiOperation(OperationForm):
    """One use of a service: what is the same in every question."""

    action: Action = "chat"
    model: Model = Field(default="", description="Unset: that of the settings.")
    system: str = Field(default="", max_length=100_000, description="What the model is told first.")
    parameters: dict[str, Any] = Field(
        default={},
        max_length=50,
        description="Such as `temperature` and `max_tokens`, by the service's own names; the input's win.",
    )
    tools: list[dict[str, Any]] = Field(
        default=[],
        max_length=128,
        description="`{name, description, parameters}` with a JSON Schema, or in the service's own form.",
    )
    stream: bool = Field(
        default=False,
        description="Let the service send its answer in pieces, as long ones have to be; the result is the same.",
    )
    raw: bool = Field(default=False, description="The result has the service's own answer too, as `raw`.")


FREE = AiOperation()
"""The operation that every integration has."""
