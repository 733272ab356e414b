"""Input and output of the routes of sources."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hub.sources.content import DEFAULT_TYPE
from hub.sources.overlap import MAX_SECRETS

_MAX_WINDOW = 30 * 86_400
_MAX_OVERLAP = 7 * 86_400
_MAX_VERIFIER = 16_384


class Input(BaseModel):
    """Unknown fields are refused: a misspelt option must not be ignored."""

    model_config = ConfigDict(extra="forbid")


class AnswerSpec(Input):
    """What a provider is answered when its request was accepted."""

    status: int = Field(default=200, ge=200, le=299)
    body: str = Field(default="", max_length=4096)
    content_type: str = Field(default="text/plain; charset=utf-8", max_length=128, pattern=r"^[ -~]+$")

    @model_validator(mode="after")
    def _no_content(self) -> AnswerSpec:
        if self.body and self.status in {204, 205}:
            raise ValueError(f"a {self.status} has no body: choose 200, or leave the body empty")
        return self


def _check_verifier(value: Any) -> Any:
    if isinstance(value, dict) and len(json.dumps(value)) > _MAX_VERIFIER:
        raise ValueError(f"is over {_MAX_VERIFIER} characters")
    return value


SecretText = Annotated[str, Field(min_length=1, max_length=8192)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_\-]+$")]
Metadata = Annotated[dict[str, str], Field(max_length=50)]
Window = Annotated[
    int,
    Field(
        ge=0,
        le=_MAX_WINDOW,
        description="For how long the same event of the provider is one event; 0: it is never looked at.",
    ),
]
DedupeBy = Annotated[
    Literal["id", "body"],
    Field(
        description="`id`: the provider's id of the event; what has none is never taken for a repeat. `body`: where"
        " the provider tells no id, equal bodies are one event."
    ),
]
EventType = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        description="Type of the events: text with `{name}` (of the source) and `{provider_type}` in it.",
    ),
]
VerifierSpec = Annotated[
    dict[str, Any],
    Field(
        description='How requests are verified: `{"profile": "github"}`; `/v1/source-profiles` lists them.'
    ),
]
Networks = Annotated[
    list[Annotated[str, Field(max_length=64)]],
    Field(max_length=200, description="CIDRs that may call; empty: anybody."),
]


class SourceCreate(Input):
    """A new source."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "github", "verifier": {"profile": "github"}, "secrets": ["whatever you chose"]}
            ]
        },
    )

    name: Name
    description: str = Field(default="", max_length=1024)
    verifier: VerifierSpec
    secrets: list[SecretText] = Field(
        default=[],
        max_length=MAX_SECRETS,
        description="What the provider signs with, or its token. Any of them verifies; they are never shown again."
        " May follow later, where the provider makes it up once it knows the `url`: until then nothing is accepted.",
    )
    event_type: EventType = DEFAULT_TYPE
    dedupe_by: DedupeBy = "id"
    dedupe_window_seconds: Window = 3 * 86_400
    ip_allow_list: Networks = []
    response: AnswerSpec = AnswerSpec()
    metadata: Metadata = {}

    _size = field_validator("verifier", mode="before")(_check_verifier)


class SourceUpdate(Input):
    """Changes of a source; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "paused"}]})

    name: Name = "-"
    description: str = Field(default="", max_length=1024)
    verifier: VerifierSpec = {}
    event_type: EventType = DEFAULT_TYPE
    dedupe_by: DedupeBy = "id"
    dedupe_window_seconds: Window = 0
    ip_allow_list: Networks = []
    response: AnswerSpec = AnswerSpec()
    metadata: Metadata = {}
    status: Literal["active", "paused"] = Field(
        default="active", description="While it is `paused`, providers are told to come back later (503)."
    )

    _size = field_validator("verifier", mode="before")(_check_verifier)


class Rotation(Input):
    """A new secret."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"secret": "the new one", "overlap_seconds": 86400}]}
    )

    secret: SecretText
    overlap_seconds: int = Field(
        default=86_400, ge=0, le=_MAX_OVERLAP, description="How long the secrets before it stay valid."
    )


class SecretView(BaseModel):
    """What may be shown of a secret."""

    id: str = Field(description="Tells two secrets apart; a new one gets a new one.")
    created_at: datetime
    last4: str = Field(description="Its last characters; empty when it is shorter than 16.")
    fingerprint: str = Field(
        description="Equal for equal secrets. Empty when it is shorter than 16 characters: it could be guessed."
    )
    expires_at: datetime | None = Field(description="The end of an overlap; null: it does not end.")


class Source(BaseModel):
    """A source."""

    id: str
    name: str
    description: str
    url: str = Field(description="What to tell the provider.")
    verifier: dict[str, Any]
    secrets: list[SecretView]
    event_type: str
    dedupe_by: Literal["id", "body"]
    dedupe_window_seconds: int
    ip_allow_list: list[str]
    response: AnswerSpec
    metadata: dict[str, str]
    status: Literal["active", "paused"]
    warning: str | None = Field(
        description="Why it accepts nothing although it is active, and what to do; null: nothing is amiss."
    )
    version: int
    created_at: datetime
    updated_at: datetime


Outcome = Literal["accepted", "duplicate", "handshake", "rejected"]


class InboundRequest(BaseModel):
    """One request of a provider."""

    id: str
    source: str
    received_at: datetime
    method: str
    path: str
    query: str
    peer: str | None
    outcome: Outcome
    reason: str = Field(description="The verdict in a word.")
    detail: str = Field(description="The verdict in a sentence.")
    provider_event_id: str | None
    provider_event_type: str | None
    event: str | None = Field(description="The event that was made; of a duplicate, that of the first.")
    body_bytes: int


class InboundRequestDetail(InboundRequest):
    """One request with everything that was kept of it."""

    headers: dict[str, str] = Field(description="Credentials are masked.")
    body: str | None = Field(description="Null: not kept.")
    body_encoding: Literal["text", "base64"] | None


class ProfileView(BaseModel):
    """How one provider signs."""

    model_config = ConfigDict(extra="allow")

    name: str


class Profiles(BaseModel):
    """The profiles that `verifier.profile` may name."""

    data: list[ProfileView]
