"""The route that tells what an integration can be made of, here."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from hub.integrations.auth.registry import MODES
from hub.integrations.forms import Form
from hub.integrations.registry.changing import Reader
from hub.integrations.registry.kinds import SPOKEN
from hub.integrations.registry.schemas import IntegrationCreate
from hub.integrations.transports import registry as transports

router = APIRouter(tags=["Integrations"])


class TransportKind(Form):
    """One transport: what its definitions are made of, as JSON Schemas."""

    name: str
    schemes: dict[str, int] = Field(description="Of `base_url`, with the port that each means.")
    auth_modes: list[str]
    free_operation: str | None
    settings: dict[str, Any]
    operation: dict[str, Any]


class Kinds(Form):
    """What an integration can be made of, here."""

    types: dict[str, list[str]] = Field(description="The protocols of each type, the usual one first.")
    transports: list[TransportKind]
    definition: dict[str, Any] = Field(description="The JSON Schema of a request that creates one.")
    auth_modes: dict[str, dict[str, Any]] = Field(description="The JSON Schema of `auth`, by mode.")


@router.get("/integration-kinds")
def list_kinds(_caller: Reader) -> Kinds:
    """Types, protocols, transports and authentication modes, with the form of each."""
    found = {**transports.built_in(), **transports.custom()}
    return Kinds(
        types={name: list(protocols) for name, protocols in SPOKEN.items()},
        transports=[
            TransportKind(
                name=name,
                schemes=dict(one.schemes),
                auth_modes=sorted(one.auth_modes),
                free_operation=one.free_operation,
                settings=one.settings_form.model_json_schema(),
                operation=one.operation_form.model_json_schema(),
            )
            for name, one in found.items()
        ],
        definition=IntegrationCreate.model_json_schema(),
        auth_modes={name: mode.form.model_json_schema() for name, mode in MODES.items()},
    )
