"""The fields that forms of authentication modes are made of, and how their raw form is read and judged.

The faults of a mode look at what was sent, whatever its form: a part of the wrong type is the form's fault, and is
read here as if it were not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SecretStr

from hub.core.errors import FieldError
from hub.core.headers import is_refused, is_token

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = "Write-only. Left out in an update: the stored one stays."

#: A secret of the form; its default is None.
WriteOnly = Annotated[SecretStr | None, Field(description=KEPT)]

#: A text that is shown again and stands in headers as it is.
Shown = Annotated[str, Field(max_length=1024, pattern=r"^[\x20-\x7e]*$")]

#: A user name for schemes that join it with the password by a colon (RFC 7617, 2; RFC 7616, 3.4.2).
UserName = Annotated[str, Field(max_length=256, pattern=r"^[^:\x00-\x1f\x7f]*$")]


def text_at(given: Mapping[str, Any], name: str, default: str = "") -> str:
    """A field of a raw `auth` object; the default for one that is missing or no text."""
    value = given.get(name, default)
    return value if isinstance(value, str) else default


def mapping_at(given: Mapping[str, Any], name: str) -> dict[str, str]:
    """The texts of an object in a raw `auth` object."""
    value = given.get(name)
    return {str(n): v for n, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}


def header_name_faults(name: str, path: str) -> list[FieldError]:
    """What is wrong with the name of a header that a mode is to set."""
    if not is_token(name):
        return [FieldError(path, "is no name of a header (letters, digits and -, no spaces)")]
    if is_refused(name):
        return [FieldError(path, f"the hub alone sets the header {name}; it cannot carry credentials")]
    return []
