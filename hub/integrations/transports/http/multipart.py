"""A form with files (RFC 7578). Pure: the same parts give the same bytes."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError
from hub.core.headers import is_value
from hub.integrations.transports.http.parameters import ArrayStyle, ObjectStyle, encodes, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE_KEYS = frozenset({"filename", "content_type", "text", "base64"})
_DEFAULT_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None


def encode(
    values: Mapping[str, Any], arrays: ArrayStyle, objects: ObjectStyle, field: str, faults: list[FieldError]
) -> tuple[bytes, str]:
    """The body and its boundary.

    Args:
        values: by name: what a form may have, and files as `{filename, content_type, text or base64}`.
        arrays: style of lists.
        objects: style of objects.
        field: where the values stand, for errors.
        faults: gets what is wrong with them.
    """
    parts: list[_Part] = []
    for name, value in values.items():
        if not encodes(name):
            faults.append(FieldError(f"{field}.{ascii(name)[1:-1]}", "is not valid Unicode"))
            continue
        several = isinstance(value, list)
        for index, item in enumerate(value if several else [value]):
            at = f"{field}.{name}" + (f".{index}" if several else "")
            if _is_file(item):
                suffix = {"brackets": "[]", "indices": f"[{index}]"}.get(arrays, "") if several else ""
                parts += _file(name + suffix, item, at, faults)
        if not (any(map(_is_file, value)) if several else _is_file(value)):
            texts = pairs({name: value}, arrays, objects, field, faults)
            parts += [_Part(key, text.encode()) for key, text in texts]
        elif several and not all(map(_is_file, value)):
            faults.append(FieldError(f"{field}.{name}", "must be files only, or no files"))
    return _joined(parts)


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and "filename" in value


def _file(name: str, value: Mapping[str, Any], at: str, faults: list[FieldError]) -> list[_Part]:
    before = len(faults)
    faults += [
        FieldError(f"{at}.{key}", f"unknown; a file has {', '.join(sorted(_FILE_KEYS))}")
        for key in value
        if key not in _FILE_KEYS
    ]
    filename, kind = value["filename"], value.get("content_type", _DEFAULT_TYPE)
    if not isinstance(filename, str) or not filename or not encodes(filename) or len(filename) > 1024:
        faults.append(FieldError(f"{at}.filename", "must be a text of 1 to 1024 characters"))
    if not isinstance(kind, str) or not kind or not is_value(kind) or len(kind) > 256:
        faults.append(
            FieldError(f"{at}.content_type", "must be a text of 1 to 256 printable ASCII characters")
        )
    content = b""
    text, encoded = value.get("text"), value.get("base64")
    if (text is None) == (encoded is None):
        faults.append(FieldError(at, "a file has its content in `text` or in `base64`"))
    elif text is not None:
        if isinstance(text, str) and encodes(text):
            content = text.encode()
        else:
            faults.append(FieldError(f"{at}.text", "must be a text"))
    else:
        decoded = from_base64(encoded)
        if decoded is None:
            faults.append(FieldError(f"{at}.base64", "must be a text in base64 (RFC 4648, 4)"))
        content = decoded or b""
    return [_Part(name, content, filename, kind)] if len(faults) == before else []


def from_base64(value: Any) -> bytes | None:
    """The bytes; None for what is not base64."""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return None


def _joined(parts: list[_Part]) -> tuple[bytes, str]:
    sections = [_section(part) for part in parts]
    digest = hashlib.sha256()
    for section in sections:
        digest.update(section)
    # The hash of a text does not stand in that text, so no part can end itself early.
    boundary = f"hub-{digest.hexdigest()[:40]}"
    line = b"--" + boundary.encode()
    body = b"".join(line + b"\r\n" + section + b"\r\n" for section in sections) + line + b"--\r\n"
    return body, boundary


def _section(part: _Part) -> bytes:
    head = f'Content-Disposition: form-data; name="{_quoted(part.name)}"'
    if part.filename is not None:
        head += f'; filename="{_quoted(part.filename)}"\r\nContent-Type: {part.content_type}'
    return head.encode() + b"\r\n\r\n" + part.content


def _quoted(text: str) -> str:
    """As browsers write names into such a header (WHATWG HTML, multipart form data)."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
