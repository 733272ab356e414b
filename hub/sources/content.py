"""From a verified request to an event: its type and its data. Pure.

Data: a JSON body goes out byte for byte. A form becomes an object, of texts or, for a name that is repeated, of
lists of texts; so does the query of a request without a body. Anything else, JSON that readers could read
differently too, becomes `{"content_type", "base64"}`: what was verified is never refused for its form.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from hub.core.errors import FieldError, Invalid
from hub.sources.verification import normalise_event_type
from hub.web.bodies import check_strict
from hub.webhooks.matching import check_event_type

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TYPE = "{name}.{provider_type}"
#: Stands for the provider's type where it tells none.
UNTYPED = "received"
#: Of an event type.
_MAX_TYPE = 128
_MAX_FIELDS = 1_000
_FORM = "application/x-www-form-urlencoded"
_PLACEHOLDER = re.compile(r"\{(?P<name>[^{}]*)\}")


def check_template(template: str, name: str) -> None:
    """Accept a source's `event_type`: fixed text, or text with `{name}` and `{provider_type}`.

    Raises:
        Invalid: another placeholder, or what comes out is no event type.
    """
    unknown = {match["name"] for match in _PLACEHOLDER.finditer(template)} - {"name", "provider_type"}
    if unknown:
        message = f"knows {{name}} and {{provider_type}}, not {{{min(unknown)}}}"
        raise Invalid(f"event_type {message}.", fields=(FieldError("event_type", message),))
    check_event_type(_fill(template, name, "x"), field="event_type")


def event_type(template: str, name: str, provider_type: str | None) -> str:
    """The type of an event, always a valid one.

    Args:
        template: from a source; it was checked.
        name: of the source.
        provider_type: as the provider calls it: `orders/create` becomes `orders.create`; None is `received`.
    """
    filled = _fill(template, name, normalise_event_type(provider_type) or UNTYPED)
    return filled[:_MAX_TYPE].rstrip(".")


def event_data(headers: Mapping[str, str], query: str, body: bytes, *, max_bytes: int, max_depth: int) -> str:
    """The JSON text of an event.

    Args:
        headers: by lower-case name.
        query: without the question mark.
        body: as it came.
        max_bytes: size cap of JSON.
        max_depth: cap of nested arrays and objects.
    """
    content_type = headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if not body or media_type == _FORM:
        try:
            return _form_data(body.decode() if body else query)
        except ValueError:  # not UTF-8, or more fields than anybody means
            return _opaque(content_type, body or query.encode())
    # Some providers send JSON as text/plain, or say nothing.
    try:
        check_strict(body, max_bytes=max_bytes, max_depth=max_depth)
    except Invalid:
        return _opaque(content_type, body)
    return body.decode()


def _fill(template: str, name: str, provider_type: str) -> str:
    return template.replace("{name}", name).replace("{provider_type}", provider_type)


def _form_data(text: str) -> str:
    fields: dict[str, str | list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="replace"):
        clean_name, clean = name.replace("\0", "\ufffd"), value.replace("\0", "\ufffd")
        before = fields.get(clean_name)
        if before is None:
            fields[clean_name] = clean
        elif isinstance(before, list):
            before.append(clean)
        else:
            fields[clean_name] = [before, clean]
    return json.dumps(fields, ensure_ascii=False)


def _opaque(content_type: str, body: bytes) -> str:
    printable = content_type if content_type.isprintable() else ""
    return json.dumps({"content_type": printable, "base64": base64.b64encode(body).decode()})
