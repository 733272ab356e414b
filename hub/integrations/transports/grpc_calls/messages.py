"""Protobuf messages as JSON, by the mapping of protobuf itself (https://protobuf.dev/programming-guides/json/)."""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, Any, cast

from google.protobuf import json_format
from google.protobuf.message import DecodeError, EncodeError
from google.protobuf.message_factory import GetMessageClass

from hub.net.outcome import safe_text

if TYPE_CHECKING:
    from hub.integrations.transports.grpc_calls.schema import Schema

MAX_DEPTH = 100
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
_PLACE = re.compile(r' at "([\w.\[\]]{1,200})"')
_NO_FIELD = re.compile(r'has no field named "([^"]{1,200})"(?: at "([\w.\[\]]{1,200})")?')


class NotFittingError(Exception):
    """The JSON value does not fit the type; says why, to be read after its place. Holds no value of the input."""


class BadAnswerError(Exception):
    """What came is no message of the type, or cannot be shown as JSON; a sentence."""


class BombError(Exception):
    """What came is over the cap once decompressed."""


def to_wire(value: dict[str, Any], message_type: Any, schema: Schema, *, partial: bool = False) -> bytes:
    """The message of a JSON object.

    Args:
        value: the object.
        message_type: descriptor of the message.
        schema: where types of `Any` fields are looked up.
        partial: required fields (proto2) may be missing.

    Raises:
        NotFittingError: an unknown field, a value of the wrong kind, a required field that is missing.
    """
    message = GetMessageClass(message_type)()
    try:
        json_format.ParseDict(value, message, descriptor_pool=schema.pool, max_recursion_depth=MAX_DEPTH)
        return message.SerializePartialToString() if partial else message.SerializeToString()
    except EncodeError:
        missing = ", ".join(cast("Any", message).FindInitializationErrors()[:10])
        raise NotFittingError(f"lacks what {message_type.full_name} requires: {missing}") from None
    except (json_format.ParseError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise NotFittingError(_told(str(error), message_type.full_name)) from None


def from_wire(data: bytes, message_type: Any, schema: Schema, *, proto_names: bool, defaults: bool) -> Any:
    """The JSON value of a message.

    Raises:
        BadAnswerError: see there.
    """
    name = message_type.full_name
    try:
        message = GetMessageClass(message_type).FromString(data)
        return json_format.MessageToDict(
            message,
            preserving_proto_field_name=proto_names,
            always_print_fields_with_no_presence=defaults,
            descriptor_pool=schema.pool,
        )
    except DecodeError:
        raise BadAnswerError(f"The answer is no valid message of the type {name}.") from None
    except (json_format.Error, ValueError, TypeError, RecursionError) as error:
        raise BadAnswerError(
            f"The answer of the type {name} cannot be shown as JSON ({safe_text(str(error), 120)})."
        ) from None


def decompressed(data: bytes, max_bytes: int) -> bytes:
    """A message as it was before a service compressed it.

    gRPC's own decompression is turned off: before grpcio 1.85 it inflates a message without a bound. No message
    begins like gzip, whose first byte would be a field of wire type 7, which does not exist.

    Raises:
        BombError: over the cap.
        BadAnswerError: broken.
    """
    if not data.startswith(_GZIP):
        return data
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = inflater.decompress(data, max_bytes + 1)
    except zlib.error:
        raise BadAnswerError("The answer is compressed, and broken.") from None
    if len(plain) > max_bytes:
        raise BombError
    if not inflater.eof:
        raise BadAnswerError("The answer is compressed, and cut off.")
    return plain


def dumped(value: Any) -> bytes:
    """JSON text of what `from_wire` gave."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _told(text: str, type_name: str) -> str:
    """A parse error without the values that it repeats."""
    if (unknown := _NO_FIELD.search(text)) is not None:
        place = f" (at {unknown[2]})" if unknown[2] and "." in unknown[2] else ""
        return f"has no field named {safe_text(unknown[1], 80)} in {type_name}{place}"
    place_match = _PLACE.search(text)
    place = f" at {place_match[1]}" if place_match else ""
    return f"has a value that does not fit {type_name}{place}"
