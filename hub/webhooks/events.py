"""One event as a publisher sends it: read, checked, given its id. Pure but for the id.

The payload stays the text that came in: receivers get the publisher's bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from hub.core.errors import FieldError, Invalid, Malformed
from hub.core.ids import Kind, format_id, new_uuid
from hub.webhooks.matching import check_event_type

if TYPE_CHECKING:
    import uuid

MAX_EVENTS = 1000
_EVENT_ID = re.compile(r"[A-Za-z0-9_:\-]{1,128}")
_AT = re.compile(r" - at `\$(?P<path>[^`]*)`$")


class EventInput(msgspec.Struct, forbid_unknown_fields=True):
    """One event as a publisher sends it.

    Attributes:
        type: dotted event type.
        data: any JSON value; its bytes go to receivers as they are.
        id: the publisher's own id; publishing it twice is one event. It becomes the `webhook-id`.
    """

    type: str
    data: msgspec.Raw
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event, checked, with the id it will have if it is new."""

    row_id: uuid.UUID
    type: str
    data: str
    event_id: str | None

    @property
    def public_id(self) -> str:
        """`msg_…`."""
        return format_id(Kind.MESSAGE, self.row_id)


_one = msgspec.json.Decoder(EventInput)
_many = msgspec.json.Decoder(list[EventInput])


def read_events(raw: bytes) -> tuple[list[Event], bool]:
    """Read one event (an object) or up to 1,000 (an array) from JSON that is already known to be well-formed.

    Returns:
        The events, and whether they came as a list.

    Raises:
        Invalid: names every field at fault that can be told.
    """
    is_list = raw.lstrip()[:1] == b"["
    try:
        inputs = _many.decode(raw) if is_list else [_one.decode(raw)]
    except msgspec.ValidationError as error:
        text = str(error)
        match = _AT.search(text)
        path = re.sub(r"\[(\d+)\]", r".\1", match["path"]).strip(".") if match else ""
        message = _AT.sub("", text)
        raise Invalid(f"The event is not valid: {text}.", fields=(FieldError(path, message),)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The body is not JSON: {error}.") from None
    if is_list and not 1 <= len(inputs) <= MAX_EVENTS:
        message = f"must hold 1 to {MAX_EVENTS} events, not {len(inputs)}"
        raise Invalid(f"The list {message}.", fields=(FieldError("", message),))
    faults: list[FieldError] = []
    events = []
    for index, item in enumerate(inputs):
        prefix = f"{index}." if is_list else ""
        try:
            events.append(make_event(item.type, bytes(item.data).decode(), item.id, prefix=prefix))
        except Invalid as error:
            faults.extend(error.fields)
    if faults:
        raise Invalid("; ".join(f"{f.path} {f.message}" for f in faults[:5]) + ".", fields=tuple(faults[:50]))
    return events, is_list


def make_event(event_type: str, data: str, event_id: str | None, *, prefix: str = "") -> Event:
    """Check one event's parts; `data` is JSON text that was checked by the caller.

    Raises:
        Invalid: names the field.
    """
    check_event_type(event_type, field=f"{prefix}type")
    if event_id is not None and _EVENT_ID.fullmatch(event_id) is None:
        message = "must be 1 to 128 letters, digits, `_`, `:` or `-`"
        raise Invalid(f"{prefix}id {message}.", fields=(FieldError(f"{prefix}id", message),))
    return Event(new_uuid(), event_type, data, event_id)
