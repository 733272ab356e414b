"""What a request's body and headers say: values at a path, form fields, the event's id and type. Never raises.

A path is dotted words; a number is an index into a list: `event-data.id`, `0.subscriptionType`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from hub.sources.verifiers.contract import Verdict

if TYPE_CHECKING:
    from hub.sources.verifiers.contract import Received

#: More fields than any provider sends; a body of `&&&&` must not cost more than that.
_MAX_FIELDS = 1_000
_EVENT_ID = re.compile(r"[\x21-\x7e]{1,255}")
_OUTSIDE_WORD = re.compile(r"[^A-Za-z0-9_\-]+")
_MAX_TYPE = 128


def json_body(body: bytes) -> Any:
    """The body as JSON, or None when it is none."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def form_fields(body: bytes) -> list[tuple[bytes, bytes]] | None:
    """The body's form fields, decoded, in order; None when there are too many.

    Bytes that are no UTF-8 pass through as they are: what was signed are bytes.
    """
    text = body.decode(errors="surrogateescape")
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="surrogateescape")
    except ValueError:
        return None
    return [(_raw(name), _raw(value)) for name, value in fields]


def _raw(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def query_value(query: str, name: str) -> str | None:
    """The first value of a query parameter, decoded."""
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return None
    return next((value for key, value in fields if key == name), None)


def is_form(received: Received) -> bool:
    """Does the request say that its body is an url-encoded form?"""
    kind = received.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"


def value_at(document: Any, path: str) -> Any:
    """The value at a path, or None."""
    for step in path.split("."):
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isascii() and step.isdigit() and len(step) <= 6:
            document = document[int(step)] if int(step) < len(document) else None
        else:
            return None
    return document


def normalise_event_type(text: str | None) -> str | None:
    """A provider's type in our form: dotted words of letters, digits, `_` and `-`, at most 128 characters.

    `orders/create` becomes `orders.create`; what has no such word, or too many, becomes None.
    """
    words = _OUTSIDE_WORD.sub(".", text or "").strip(".")
    return words if 0 < len(words) <= _MAX_TYPE else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """Where a provider puts the event's id and type; the first place that has one wins.

    Args:
        id_headers: headers that may carry the id.
        id_paths: places in the JSON body that may carry the id.
        type_headers: headers that may carry the type.
        type_paths: places in the JSON body that may carry the type.
        type_suffix_path: a place in the JSON body whose word is added to the type (`issues` + `opened`).
    """

    id_headers: tuple[str, ...] = ()
    id_paths: tuple[str, ...] = ()
    type_headers: tuple[str, ...] = ()
    type_paths: tuple[str, ...] = ()
    type_suffix_path: str | None = None

    def accepted(
        self, received: Received, secret_index: int | None, detail: str, *, reason: str = "ok"
    ) -> Verdict:
        """The verdict of yes, with the event's id and type."""
        event_id, event_type = self.read(received)
        return Verdict(
            ok=True,
            reason=reason,
            detail=detail,
            event_id=event_id,
            event_type=event_type,
            secret_index=secret_index,
        )

    def read(self, received: Received) -> tuple[str | None, str | None]:
        """The event's id and type; None for what is absent or unusable."""
        document = (
            json_body(received.body) if self.id_paths or self.type_paths or self.type_suffix_path else None
        )
        event_id = _first(received, self.id_headers, document, self.id_paths)
        event_type = _first(received, self.type_headers, document, self.type_paths)
        if event_type is not None and self.type_suffix_path is not None:
            suffix = _word(value_at(document, self.type_suffix_path))
            event_type = event_type if suffix is None else f"{event_type}.{suffix}"
        if event_id is not None and _EVENT_ID.fullmatch(event_id) is None:
            event_id = None
        return event_id, normalise_event_type(event_type)


def _first(received: Received, headers: tuple[str, ...], document: Any, paths: tuple[str, ...]) -> str | None:
    for header in headers:
        if found := received.headers.get(header):
            return found
    for path in paths:
        if found := _word(value_at(document, path)):
            return found
    return None


def _word(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
