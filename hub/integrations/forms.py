"""The root of everything that a person sends about integrations."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Form(BaseModel):
    """Unknown fields are refused: a misspelt option must not be ignored. Values never stand in an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


#: HTTP headers by name; their meaning is judged by `hub.integrations.request.header_faults`.
Headers = Annotated[dict[str, str], Field(max_length=30)]
