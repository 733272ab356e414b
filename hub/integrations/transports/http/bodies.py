"""Bodies of requests: a JSON value as the bytes that the service takes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError
from hub.integrations.transports.http import multipart, parameters
from hub.integrations.transports.http.headers import lookup
from hub.integrations.transports.http.multipart import from_base64

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.integrations.transports.http.forms import BodyType, RestOperation

_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\b", re.IGNORECASE)
_UNSENDABLE = "cannot be sent: it has text that is not Unicode, or a number without value"


def encode(
    operation: RestOperation, body: Any, headers: dict[str, str], field: str, faults: list[FieldError]
) -> bytes | None:
    """The bytes; None when nothing is sent.

    Args:
        operation: says how.
        body: the input's; null sends nothing.
        headers: of the request; gets a Content-Type when it has none.
        field: where the body stands, for errors.
        faults: gets what is wrong with it.
    """
    if body is None:
        return None
    kind = lookup(headers, "content-type")
    body_type = operation.body_type or _by_content_type(kind)
    if body_type == "json":
        if kind is None:
            headers["Content-Type"] = "application/json"
        return _json(body, field, faults)
    return _ENCODERS[body_type](operation, body, kind, headers, field, faults)


def _by_content_type(kind: str | None) -> BodyType:
    if kind is None or _JSON_TYPE.match(kind):
        return "json"
    essence = kind.partition(";")[0].strip().lower()
    if essence == "application/x-www-form-urlencoded":
        return "form"
    return "multipart" if essence == "multipart/form-data" else "text"


def _json(body: Any, field: str, faults: list[FieldError]) -> bytes | None:
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        faults.append(FieldError(field, _UNSENDABLE))
        return None


def _form(
    operation: RestOperation,
    body: Any,
    kind: str | None,
    headers: dict[str, str],
    field: str,
    faults: list[FieldError],
) -> bytes | None:
    if kind is None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    if isinstance(body, str):
        return _text(operation, body, "", headers, field, faults)
    if not isinstance(body, dict):
        faults.append(FieldError(field, "must be an object, or a text that is a form already"))
        return None
    return parameters.encode(body, operation.arrays, operation.objects, field, faults).encode()


def _multipart(
    operation: RestOperation,
    body: Any,
    kind: str | None,
    headers: dict[str, str],
    field: str,
    faults: list[FieldError],
) -> bytes | None:
    if not isinstance(body, dict):
        faults.append(FieldError(field, "must be an object of fields and files"))
        return None
    content, boundary = multipart.encode(body, operation.arrays, operation.objects, field, faults)
    essence = (kind or "multipart/form-data").partition(";")[0].strip()
    for name in [name for name in headers if name.lower() == "content-type"]:
        del headers[name]
    headers["Content-Type"] = f"{essence}; boundary={boundary}"
    return content


def _text(
    operation: RestOperation,
    body: Any,
    kind: str | None,
    headers: dict[str, str],
    field: str,
    faults: list[FieldError],
) -> bytes | None:
    if kind is None:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    if not isinstance(body, str):
        if isinstance(body, dict) and set(body) == {"base64"}:
            return _binary(operation, body["base64"], kind, headers, f"{field}.base64", faults)
        what = "text" if kind is None else f"content type {kind}"
        faults.append(FieldError(field, f"must be a text for the {what}, or {{base64: …}}"))
        return None
    if not parameters.encodes(body):
        faults.append(FieldError(field, _UNSENDABLE))
        return None
    return body.encode()


def _binary(
    operation: RestOperation,
    body: Any,
    kind: str | None,
    headers: dict[str, str],
    field: str,
    faults: list[FieldError],
) -> bytes | None:
    del operation
    if kind is None:
        headers["Content-Type"] = "application/octet-stream"
    content = from_base64(body)
    if content is None:
        faults.append(FieldError(field, "must be a text in base64 (RFC 4648, 4)"))
    return content


_ENCODERS: dict[str, Callable[..., bytes | None]] = {
    "form": _form,
    "multipart": _multipart,
    "text": _text,
    "binary": _binary,
}
