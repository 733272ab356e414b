"""Bodies of requests: a JSON value as the bytes that the service takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError
from hub.integrations.transports.encoding import UNSENDABLE, to_json
from hub.integrations.transports.http import multipart, parameters
from hub.integrations.transports.http.headers import lookup
from hub.integrations.transports.http.multipart import from_base64

if TYPE_CHECKING:
    from hub.integrations.transports.http.forms import BodyType, RestOperation

_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\b", re.IGNORECASE)
_BYTES_TYPE = "application/octet-stream"


def encode(
    operation: RestOperation, body: Any, headers: dict[str, str], field: str, faults: list[FieldError]
) -> bytes | None:
    """The bytes; None when nothing is sent.

    Args:
        operation: says how.
        body: the input's; null sends nothing.
        headers: of the request; gets a Content-Type when it has none, and a multipart form's own in any case.
        field: where the body stands, for errors.
        faults: gets what is wrong with it.
    """
    if body is None:
        return None
    given = lookup(headers, "content-type")
    match operation.body_type or _by_content_type(given):
        case "json":
            content, kind = _json(body, field, faults), "application/json"
        case "form":
            content, kind = _form(operation, body, field, faults), "application/x-www-form-urlencoded"
        case "multipart":
            return _multipart(operation, body, headers, field, faults)
        case "text" if isinstance(body, dict) and set(body) == {"base64"}:
            content, kind = _binary(body["base64"], f"{field}.base64", faults), _BYTES_TYPE
        case "text":
            what = "text" if given is None else f"content type {given}"
            content, kind = _text(body, what, field, faults), "text/plain; charset=utf-8"
        case "binary":
            content, kind = _binary(body, field, faults), _BYTES_TYPE
    if given is None:
        headers["Content-Type"] = kind
    return content


def _by_content_type(kind: str | None) -> BodyType:
    if kind is None or _JSON_TYPE.match(kind):
        return "json"
    essence = kind.partition(";")[0].strip().lower()
    if essence == "application/x-www-form-urlencoded":
        return "form"
    return "multipart" if essence == "multipart/form-data" else "text"


def _json(body: Any, field: str, faults: list[FieldError]) -> bytes | None:
    try:
        return to_json(body)
    except ValueError:
        faults.append(FieldError(field, UNSENDABLE))
        return None


def _form(operation: RestOperation, body: Any, field: str, faults: list[FieldError]) -> bytes | None:
    if isinstance(body, str):
        return _text(body, "form", field, faults)
    if not isinstance(body, dict):
        faults.append(FieldError(field, "must be an object, or a text that is a form already"))
        return None
    return parameters.encode(body, operation.arrays, operation.objects, field, faults).encode()


def _multipart(
    operation: RestOperation, body: Any, headers: dict[str, str], field: str, faults: list[FieldError]
) -> bytes | None:
    if not isinstance(body, dict):
        faults.append(FieldError(field, "must be an object of fields and files"))
        return None
    content, boundary = multipart.encode(body, operation.arrays, operation.objects, field, faults)
    essence = (lookup(headers, "content-type") or "multipart/form-data").partition(";")[0].strip()
    for name in [name for name in headers if name.lower() == "content-type"]:
        del headers[name]
    headers["Content-Type"] = f"{essence}; boundary={boundary}"
    return content


def _text(body: Any, what: str, field: str, faults: list[FieldError]) -> bytes | None:
    if not isinstance(body, str):
        faults.append(FieldError(field, f"must be a text for the {what}, or {{base64: …}}"))
        return None
    if not parameters.encodes(body):
        faults.append(FieldError(field, UNSENDABLE))
        return None
    return body.encode()


def _binary(body: Any, field: str, faults: list[FieldError]) -> bytes | None:
    content = from_base64(body)
    if content is None:
        faults.append(FieldError(field, "must be a text in base64 (RFC 4648, 4)"))
    return content
