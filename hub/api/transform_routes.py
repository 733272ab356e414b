"""Trying a filter and steps on a sample, before they are part of anything."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from hub.access.principal import Principal
from hub.api.schemas import Input, Preview
from hub.transforms import Sandbox, acting_for, preview
from hub.web.auth import requires
from hub.web.services import Hub

router = APIRouter(tags=["Transformations"])

Caller = Annotated[Principal, requires()]


class PreviewIn(Input):
    """What is to be tried."""

    filter: dict[str, Any] | None = Field(default=None, description="As of an endpoint or a flow.")
    transformations: list[Any] = Field(
        default=[], max_length=50, description="Steps, as of an endpoint, an integration or a flow."
    )
    sample: Any = Field(default=None, description="The document: an event, an input, or an answer's data.")


@router.post("/transformations/preview")
def preview_transformation(body: PreviewIn, caller: Caller, hub: Hub, request: Request) -> Preview:
    """What a filter and steps make of a sample, step by step. Nothing is stored."""
    sandbox: Sandbox = request.app.state.sandbox
    with hub.slow.place(caller.tenant_id), acting_for(caller.tenant_id):
        return Preview(**preview(body.filter, body.transformations, body.sample, sandbox))
