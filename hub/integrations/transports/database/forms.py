"""What a definition of a database integration says."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from hub.integrations.forms import Form
from hub.integrations.operation import OperationForm

MAX_ROWS = 100_000

ParameterType = Literal[
    "any",
    "text",
    "integer",
    "number",
    "decimal",
    "boolean",
    "date",
    "timestamp",
    "json",
    "bytes",
    "uuid",
]
ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]


class DatabaseSettings(Form):
    """How the server is reached; its address is `base_url`, the login is `auth`."""

    tls: Literal["verify", "require", "disable"] = Field(
        default="verify",
        description="`verify`: encrypted, and the certificate is for this host; `require`: encrypted, to "
        "whoever answers; `disable`: in the clear.",
    )
    username: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="For a login without a password (by client certificate), with `auth.mode` mtls or none.",
    )


class Parameter(Form):
    """What `:name` in a statement may be."""

    type: ParameterType = Field(
        default="any",
        description="`any`: null, text, number, boolean, or (PostgreSQL) a list of these. `decimal`: a text such as "
        "`12.50`, exact. `bytes`: base64. `date` and `timestamp`: ISO 8601.",
    )
    required: bool = Field(default=True, description="Must be given; unless there is a default.")
    default: Any = Field(default=None, description="Taken when it is not given.")


class DatabaseOperation(OperationForm):
    """One statement."""

    sql: str = Field(
        min_length=1,
        max_length=65_536,
        description="One statement; values stand in it as `:name`, never in quotes.",
    )
    mode: Literal["read", "write"] = Field(
        default="read",
        description="`read`: in a read-only transaction; `write`: in one transaction, which may change data; "
        "it is rolled back when the answer (`RETURNING`) is longer than an answer may be.",
    )
    parameters: dict[ParameterName, Parameter] = Field(
        default={}, max_length=200, description="Those of `sql` that are not listed are `any` and required."
    )
    max_rows: int = Field(
        default=1000,
        ge=1,
        le=MAX_ROWS,
        description="More are left out, and the result says `truncated`.",
    )
