"""The root of everything that a person sends about integrations."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Form(BaseModel):
    """Unknown fields are refused: a misspelt option must not be ignored. Values never stand in an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


#: HTTP headers by name; their meaning is judged by `hub.integrations.transports.http.headers`.
Headers = Annotated[dict[str, str], Field(max_length=30)]
#: The name of a header; judged there, too.
IdempotencyHeader = Annotated[
    str,
    Field(
        max_length=128,
        description="A header in which the service takes a key that makes a repeated request harmless.",
    ),
]
#: Of transports whose operations are all called at one address.
AddedPath = Annotated[
    str,
    Field(
        pattern=r"^(/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*)?$",
        max_length=1024,
        description="Added to base_url, which ends without a slash: `/` where the service insists on one.",
    ),
]
