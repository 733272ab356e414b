"""Input and output of the routes of grants. Tokens are in none of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from hub.integrations.forms import Form


class AuthorizeIn(Form):
    """How to begin."""

    return_url: str | None = Field(
        default=None,
        min_length=1,
        max_length=2048,
        description="Where the last page leads back to; an address of the hub's own origin.",
    )


class Authorization(BaseModel):
    """Where to send a person: to `url`, or to `verification_uri` with the `user_code`."""

    kind: Literal["redirect", "device"]
    url: str | None = Field(default=None, description="Open it in the person's browser.")
    user_code: str | None = Field(default=None, description="To be typed at `verification_uri`.")
    verification_uri: str | None = None
    verification_uri_complete: str | None = None
    interval: int | None = Field(default=None, description="Seconds between two polls.")
    expires_at: datetime


class Polled(BaseModel):
    """Whether the person is done."""

    state: Literal["pending", "connected"]


class GrantView(BaseModel):
    """What a provider has granted for an integration."""

    integration_id: str
    state: Literal["none", "active", "needs_reauth"]
    scopes: list[str] = Field(description="As the provider granted them; else as they were asked for.")
    obtained_at: datetime | None
    expires_at: datetime | None = Field(description="Of the access token; null when it has no known end.")
    renewable: bool = Field(description="The hub can renew the access token by itself.")
    metadata: dict[str, Any] = Field(description="What `auth.capture` found in the provider's answer.")
    last_error: str | None
    version: int = Field(description="Counts stored tokens.")
    updated_at: datetime | None


class Disconnected(BaseModel):
    """The grant is forgotten here."""

    revoked: bool = Field(description="The provider took it back, too.")
    detail: str | None = Field(description="Why it did not.")
