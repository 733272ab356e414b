"""Input and output of the tenant and API key routes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from hub.access.scopes import Scope

_TENANT_ID = "ten_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e"
_KEY_ID = "key_01993f0c9c7a7b3a8d0e6f0a1b2c3d4f"


class Input(BaseModel):
    """Unknown fields are refused: a misspelt option must not be ignored."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class TenantCreate(Input):
    """A new tenant."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "acme"}]})

    name: str = Field(
        min_length=1, max_length=63, description="Lower-case letters and digits, with `.`, `_`, `-` between."
    )


class Tenant(BaseModel):
    """A tenant."""

    id: str = Field(examples=[_TENANT_ID])
    name: str = Field(examples=["acme"])
    created_at: datetime


class ApiKeyCreate(Input):
    """A new API key of the caller's tenant."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "billing service", "scopes": ["events:write"]}]}
    )

    name: str = Field(min_length=1, max_length=100, description="Who uses it.")
    roles: list[str] = Field(
        default=[], max_length=20, description="Names that integrations' access rules may let in."
    )
    scopes: list[Scope] = Field(
        min_length=1,
        max_length=len(Scope),
        description="What it may do in its tenant. `admin`: everything, keys of its tenant and new tenants included;"
        " for people who run the tenant, not for a service.",
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="When it stops working, with a time zone; left out: never."
    )


class ApiKey(BaseModel):
    """An API key without its secret."""

    id: str = Field(examples=[_KEY_ID])
    name: str = Field(examples=["billing service"])
    scopes: list[str] = Field(examples=[["events:write"]])
    roles: list[str] = []
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To about a minute.")


class ApiKeyCreated(ApiKey):
    """An API key with its text, which is shown this once."""

    key: str = Field(examples=["hub_01993f0c9c7a7b3a8d0e6f0a1b2c3d4f_…"])


class AuditEntry(BaseModel):
    """Who changed what, or what was refused."""

    id: str
    at: datetime
    actor: str | None = Field(description="The API key; null: an operator, or the hub itself.")
    action: str = Field(examples=["integration.changed", "execution.refused"])
    subject: str = Field(description="The id of what it happened to.")
    details: dict[str, Any]


class TenantCreated(Tenant):
    """A tenant with its first key, which has the scope `admin`."""

    api_key: ApiKeyCreated


class Me(BaseModel):
    """Whose key this is."""

    tenant: Tenant
    key_id: str = Field(examples=[_KEY_ID])
    scopes: list[str] = Field(examples=[["endpoints:read", "events:write"]])
    roles: list[str] = []


class PreviewStep(BaseModel):
    """The document after one step."""

    index: int
    step: str
    document: Any = None
    document_omitted: bool = Field(default=False, description="There is too much to show all of it.")


class Preview(BaseModel):
    """What a filter and steps make of a sample."""

    matches: bool = Field(description="The filter takes it. The steps are tried also when it does not.")
    conditions: list[dict[str, Any]] = Field(description="What each condition of the filter found.")
    steps: list[PreviewStep]
    outcome: Literal["transformed", "cancelled", "failed"]
    document: Any = Field(description="The result, when it is transformed.")
    headers: dict[str, str | None] = Field(description="What the steps set; null removes a header.")
    index: int | None = Field(description="The step that cancelled or failed.")
    reason: str | None
    would_send: bool = Field(description="The filter takes it, and the steps end in a document.")
