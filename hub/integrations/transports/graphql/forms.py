"""What a GraphQL integration and its operations look like."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from hub.integrations.forms import AddedPath, Form, Headers, IdempotencyHeader
from hub.integrations.operation import OperationForm

#: Characters of a document. The longest one that a person wrote by hand is far below.
MAX_DOCUMENT = 65_536
#: Characters of a schema; the size of a definition is capped too.
MAX_SCHEMA = 1_048_576
#: What GraphQL calls a name (specification of October 2021, 2.1.9).
NAME = r"^[_A-Za-z][_0-9A-Za-z]*$"

_PATH = r"^[_A-Za-z][_0-9A-Za-z]*(\.[_A-Za-z][_0-9A-Za-z]*)*$"


class GraphqlSettings(Form):
    """Of an integration that speaks GraphQL."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    # `schema` itself is a method of pydantic's models.
    schema_text: str | None = Field(
        default=None,
        alias="schema",
        max_length=MAX_SCHEMA,
        description="The service's schema: SDL, or the JSON of an introspection query. When it is there, documents"
        " are checked against it when they are saved, and variables before anything leaves.",
    )
    path: AddedPath = ""
    partial: Literal["fail", "keep"] = Field(
        default="fail",
        description="What an answer with both data and errors is: a failure, or a success that keeps both.",
    )

    @field_validator("schema_text", mode="before")
    @classmethod
    def _introspected(cls, given: Any) -> Any:
        return json.dumps(given, separators=(",", ":")) if isinstance(given, dict) else given

    @cached_property
    def schema_digest(self) -> bytes:
        """Tells schemas apart."""
        return hashlib.sha256((self.schema_text or "").encode(errors="surrogatepass")).digest()


class RelayPages(Form):
    """How a connection is read to its end (Relay's cursor connections, forwards)."""

    connection: str = Field(
        pattern=_PATH,
        max_length=512,
        description="Where the connection is in `data`, such as `repository.issues`. The document asks there for"
        " pageInfo { hasNextPage endCursor } and for nodes or edges.",
    )
    after: str = Field(
        default="after", pattern=NAME, max_length=128, description="The variable of the cursor."
    )
    first: str = Field(default="first", pattern=NAME, max_length=128, description="The variable of the size.")
    page_size: int | None = Field(
        default=None, ge=1, le=1000, description="The value of `first`. Unset: as the variables say."
    )
    max_pages: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="No more pages than these; the last pageInfo then still says hasNextPage, and where to go on.",
    )


class GraphqlOperation(OperationForm):
    """One query or mutation."""

    document: str = Field(min_length=1, max_length=MAX_DOCUMENT)
    operation_name: str | None = Field(
        default=None, pattern=NAME, max_length=128, description="Which of the document's operations."
    )
    variables: dict[str, Any] = Field(default={}, description="Used where the input gives none.")
    headers: Headers = Field(default={})
    idempotency_key: IdempotencyHeader = ""
    pagination: RelayPages | None = None
