"""What a person says about a gRPC service and its operations, and what is wrong with the meaning of it.

Nothing here needs gRPC or protobuf, which may not be installed.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from hub.core.errors import FieldError
from hub.core.headers import MAX_VALUE_CHARACTERS, is_refused, is_value
from hub.integrations.forms import Form
from hub.integrations.operation import OperationForm

if TYPE_CHECKING:
    from collections.abc import Mapping

#: grpc:// is plaintext: the port of gRPC's own examples. grpcs:// is TLS.
PORTS: Mapping[str, int] = {"grpc": 50051, "grpcs": 443}
MAX_MESSAGES = 1000
MAX_COLLECTED = 10_000
MAX_DESCRIPTOR_BYTES = 4 * 1024 * 1024

#: Keys as in https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md (Custom-Metadata), in lower case.
Metadata = Annotated[dict[str, str], Field(max_length=30)]

_METHOD = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*/[A-Za-z_]\w*", re.ASCII)
_KEY = re.compile(r"[0-9a-z_.-]+")
_AUTHORITY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})(?::[0-9]{1,5})?")
# Written by gRPC itself.
_OWN_KEYS = frozenset({"content-type", "user-agent", "accept-encoding"})


class GrpcSettings(Form):
    """Of one service."""

    reflection: bool = Field(
        default=False, description="Ask the service for its message types (grpc.reflection.v1 or v1alpha)."
    )
    descriptor_set: str | None = Field(
        default=None,
        max_length=MAX_DESCRIPTOR_BYTES * 4 // 3 + 4,
        description="The message types: a FileDescriptorSet in base64, as `protoc --include_imports "
        "--descriptor_set_out=FILE` or `buf build -o FILE` makes it.",
    )
    authority: str | None = Field(
        default=None,
        max_length=260,
        description="Host, or host:port, in place of that of `base_url`: what is asked for, and whose certificate "
        "it has to be.",
    )
    max_message_bytes: int | None = Field(
        default=None,
        ge=1,
        le=67_108_864,
        description="Of one received message. Unset: the cap of the whole answer.",
    )
    proto_field_names: bool = Field(
        default=False, description="Results have the field names of the .proto files, not lowerCamelCase."
    )
    default_values: bool = Field(
        default=False, description="Results show fields that have no value of their own: 0, false, empty."
    )
    health: str | None = Field(
        default=None,
        max_length=260,
        description="The connection test asks grpc.health.v1 for this service's state; empty asks for the server's.",
    )


class Collect(Form):
    """When enough of a stream of answers has come; without it, when the service ends the stream."""

    count: int | None = Field(default=None, ge=1, le=MAX_COLLECTED, description="So many messages came.")
    seconds: float | None = Field(
        default=None,
        gt=0,
        le=600,
        allow_inf_nan=False,
        description="So much time has passed since the call began.",
    )


class GrpcOperation(OperationForm):
    """One method."""

    method: str = Field(max_length=512, description="As in `pkg.Service/Method`.")
    message: dict[str, Any] | None = Field(
        default=None, description="Fields of every message, unless the input gives others."
    )
    metadata: Metadata = Field(default={}, description="Sent with every call.")
    collect: Collect = Collect()


def address_faults(base_url: str) -> list[FieldError]:
    """What is wrong with an address beyond its form."""
    parts = urlsplit(base_url)
    if parts.path.strip("/"):
        return [FieldError("base_url", "has a path, which gRPC has no use for; name methods in operations")]
    return []


def settings_faults(settings: GrpcSettings) -> list[FieldError]:
    """What is wrong with the meaning of settings, but for what the descriptor set holds."""
    faults = []
    if settings.reflection == (settings.descriptor_set is not None):
        faults.append(
            FieldError(
                "settings", "needs to say where message types come from: `reflection` or `descriptor_set`"
            )
        )
    if settings.authority is not None and not _AUTHORITY.fullmatch(settings.authority):
        faults.append(FieldError("settings.authority", "must be like service.example.com or service:50051"))
    return faults


def method_faults(operation: GrpcOperation, at: str) -> list[FieldError]:
    """What is wrong with the name of the method and the metadata."""
    faults = metadata_faults(operation.metadata, f"{at}.metadata")
    if not _METHOD.fullmatch(operation.method):
        faults.append(
            FieldError(f"{at}.method", "must be like pkg.Service/Method, without a slash before it")
        )
    return faults


def metadata_faults(metadata: Mapping[str, Any], at: str) -> list[FieldError]:
    """What is wrong with metadata; values are never repeated, they may be secrets."""
    faults = []
    for key, value in metadata.items():
        shown = key if _KEY.fullmatch(key.lower()) else ascii(key[:40])
        place = f"{at}.{shown}"
        lower = key.lower()
        if not _KEY.fullmatch(lower):
            faults.append(FieldError(place, "a key has only letters, digits and _ . -"))
        elif lower.startswith("grpc-") or lower in _OWN_KEYS or is_refused(lower):
            faults.append(FieldError(place, "this key is set by gRPC or the hub and cannot be given"))
        elif not isinstance(value, str):
            faults.append(FieldError(place, "must be a text"))
        elif lower.endswith("-bin"):
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                faults.append(
                    FieldError(place, "a value of a key in -bin is base64 (RFC 4648, 4, with padding)")
                )
        elif not is_value(value):
            faults.append(FieldError(place, "a value has only printable ASCII characters, spaces and tabs"))
        if isinstance(value, str) and len(value) > MAX_VALUE_CHARACTERS:
            faults.append(FieldError(place, f"a value has at most {MAX_VALUE_CHARACTERS} characters"))
    return faults
