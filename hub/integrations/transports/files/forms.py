"""What a definition of a file transfer integration says."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hub.integrations.forms import Form
from hub.integrations.operation import OperationForm

MAX_ENTRIES = 10_000


class FileSettings(Form):
    """How the server is known; its address, with the base directory, is `base_url`."""

    host_key: str | None = Field(
        default=None,
        max_length=16_384,
        description="SFTP: the server's public key (`ssh-ed25519 AAAA…`, as ssh-keyscan prints it) or its "
        "fingerprint (`SHA256:…`); several, one a line, while it changes. Nothing else is trusted.",
    )


class FileOperation(OperationForm):
    """One action on one path."""

    action: Literal["list", "get", "put", "move", "delete", "stat"]
    path: str = Field(
        default="",
        max_length=1024,
        description="Below the base directory; `{name}` is one segment from the input, `{name:path}` may be several. "
        "Empty is the base directory itself.",
    )
    to: str | None = Field(default=None, max_length=1024, description="move: the new path, in the same form.")
    glob: str | None = Field(
        default=None, min_length=1, max_length=255, description="list: only names like this, such as `*.csv`."
    )
    max_entries: int = Field(
        default=1000,
        ge=1,
        le=MAX_ENTRIES,
        description="list: more are left out, and the result says `truncated`.",
    )
    content: Literal["auto", "text", "base64"] = Field(
        default="auto", description="get: how the result has the bytes. `auto`: text where they are UTF-8."
    )
    content_type: str | None = Field(
        default=None, max_length=200, pattern=r"^[\x21-\x7e][\x20-\x7e]*$", description="put to S3."
    )
    overwrite: bool = Field(default=False, description="put, move: replace what is there.")
