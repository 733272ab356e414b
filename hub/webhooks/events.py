"""One event as a publisher sends it: read, checked, given its id. Pure but for the id.

The payload stays the text that came in: receivers get the publisher's bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from hub.core.errors import FieldError, Invalid, Malformed
from hub.core.ids import Kind, format_id, new_uuid
from hub.webhooks.matching import LABEL_RULE, MAX_LABELS, check_event_type, is_label

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence

MAX_EVENTS = 1000
_EVENT_ID = re.compile(r"[A-Za-z0-9_:\-]{1,128}")
_KEY = re.compile(r"[\x21-\x7e]{1,128}")
#: How far ahead an event may be scheduled.
_FARTHEST = timedelta(days=365)
_AT = re.compile(r" - at `\$(?P<path>[^`]*)`$")


class EventInput(msgspec.Struct, forbid_unknown_fields=True):
    """One event as a publisher sends it.

    Attributes:
        type: dotted event type.
        data: any JSON value; its bytes go to receivers as they are.
        id: the publisher's own id; publishing it twice is one event. It becomes the `webhook-id`.
        labels: endpoints that ask for labels get it when they share one.
        ordering_key: events of one key reach endpoints with strict ordering one after the other.
        deliver_at: not before this moment (RFC 3339).
        expires_at: what is not delivered by then is not sent any more (RFC 3339).
    """

    type: str
    data: msgspec.Raw
    id: str | None = None
    labels: list[str] | None = None
    ordering_key: str | None = None
    deliver_at: str | None = None
    expires_at: str | None = None


class Options(msgspec.Struct, frozen=True):
    """What a publisher may say of an event beside its type and data; see `EventInput`. Times are aware."""

    labels: tuple[str, ...] = ()
    ordering_key: str | None = None
    deliver_at: datetime | None = None
    expires_at: datetime | None = None


_PLAIN = Options()
_NO_OPTIONS = (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Event:
    """One event, checked, with the id it will have if it is new."""

    row_id: uuid.UUID
    type: str
    data: str
    event_id: str | None
    options: Options = _PLAIN

    @property
    def public_id(self) -> str:
        """`msg_…`."""
        return format_id(Kind.MESSAGE, self.row_id)


_one = msgspec.json.Decoder(EventInput)
_many = msgspec.json.Decoder(list[EventInput])
_raws = msgspec.json.Decoder(list[msgspec.Raw])


def read_events(raw: bytes, now: datetime) -> tuple[list[Event | Invalid], bool]:
    """Read one event (an object) or up to 1,000 (an array) from JSON that is already known to be well-formed.

    Args:
        raw: the body.
        now: judges `deliver_at` and `expires_at`.

    Returns:
        The events, an error in the place of each that is not acceptable, and whether they came as a list.

    Raises:
        Invalid: the body is not made of events at all; names the place.
    """
    is_list = raw.lstrip()[:1] == b"["
    try:
        inputs = _read_list(raw) if is_list else [_one.decode(raw)]
    except msgspec.ValidationError as error:
        raise _misshapen(error, "") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The body is not JSON: {error}.") from None
    if is_list:
        _check_count(len(inputs))
    events: list[Event | Invalid] = []
    for index, item in enumerate(inputs):
        if isinstance(item, Invalid):
            events.append(item)
            continue
        prefix = f"{index}." if is_list else ""
        try:
            options = _PLAIN
            if (item.labels, item.ordering_key, item.deliver_at, item.expires_at) != _NO_OPTIONS:
                options = _options(item, now, prefix)
            events.append(make_event(item.type, bytes(item.data).decode(), item.id, options, prefix=prefix))
        except Invalid as error:
            events.append(error)
    return events, is_list


def _read_list(raw: bytes) -> Sequence[EventInput | Invalid]:
    """The events of a list; what is none of them gets an error in its place."""
    try:
        return _many.decode(raw)
    except msgspec.ValidationError:
        pass
    items = _raws.decode(raw)
    # Before each gets an error: a body of a megabyte holds half a million faults.
    _check_count(len(items))
    inputs: list[EventInput | Invalid] = []
    for index, item in enumerate(items):
        try:
            inputs.append(_one.decode(item))
        except msgspec.ValidationError as error:
            inputs.append(_misshapen(error, f"{index}."))
    return inputs


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_EVENTS:
        message = f"must hold 1 to {MAX_EVENTS} events, not {count}"
        raise Invalid(f"The list {message}.", fields=(FieldError("", message),))


def _misshapen(error: msgspec.ValidationError, prefix: str) -> Invalid:
    text = str(error)
    match = _AT.search(text)
    path = re.sub(r"\[(\d+)\]", r".\1", match["path"]).strip(".") if match else ""
    place = f"{prefix}{path}".strip(".")
    message = _AT.sub("", text)
    return Invalid(f"{place or 'The event'} is not valid: {message}.", fields=(FieldError(place, message),))


def refuse(faults: Iterable[Invalid]) -> None:
    """Raise one error for several events.

    Raises:
        Invalid: with the fields of all; nothing when there are none.
    """
    fields = [field for fault in faults for field in fault.fields]
    if fields:
        raise Invalid.of(fields[:50])


def make_event(
    event_type: str, data: str, event_id: str | None, options: Options = _PLAIN, *, prefix: str = ""
) -> Event:
    """Check one event's parts; `data` is JSON text that was checked by the caller, options come from `make_options`.

    Raises:
        Invalid: names the field.
    """
    check_event_type(event_type, field=f"{prefix}type")
    if event_id is not None and _EVENT_ID.fullmatch(event_id) is None:
        message = "must be 1 to 128 letters, digits, `_`, `:` or `-`"
        raise Invalid(f"{prefix}id {message}.", fields=(FieldError(f"{prefix}id", message),))
    return Event(new_uuid(), event_type, data, event_id, options)


def make_options(
    now: datetime,
    *,
    labels: Sequence[str] = (),
    ordering_key: str | None = None,
    deliver_at: datetime | None = None,
    expires_at: datetime | None = None,
    prefix: str = "",
) -> Options:
    """Check an event's options.

    Raises:
        Invalid: names the fields.
    """
    faults = []
    if len(labels) > MAX_LABELS:
        faults.append(FieldError(f"{prefix}labels", f"must be {MAX_LABELS} at most"))
    for n, label in enumerate(labels):
        if not is_label(label):
            faults.append(FieldError(f"{prefix}labels.{n}", LABEL_RULE))
    if ordering_key is not None and _KEY.fullmatch(ordering_key) is None:
        faults.append(FieldError(f"{prefix}ordering_key", "must be 1 to 128 visible ASCII characters"))
    if deliver_at is not None and deliver_at > now + _FARTHEST:
        faults.append(FieldError(f"{prefix}deliver_at", f"must be within {_FARTHEST.days} days"))
    if expires_at is not None and expires_at <= max(now, deliver_at or now):
        faults.append(FieldError(f"{prefix}expires_at", "must be in the future and after deliver_at"))
    if faults:
        raise Invalid.of(faults)
    # What is past is due now; without the time the fast path takes it.
    later = deliver_at if deliver_at is not None and deliver_at > now else None
    return Options(tuple(dict.fromkeys(labels)), ordering_key, later, expires_at)


def parse_time(text: str | None, *, field: str) -> datetime | None:
    """An RFC 3339 time.

    Raises:
        Invalid: it is not one, or has no offset.
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or "T" not in text.upper():
        message = "must be a time with an offset, such as 2026-11-22T18:00:00Z"
        raise Invalid(f"{field} {message}.", fields=(FieldError(field, message),))
    return at


def _options(item: EventInput, now: datetime, prefix: str) -> Options:
    return make_options(
        now,
        labels=item.labels or (),
        ordering_key=item.ordering_key,
        deliver_at=parse_time(item.deliver_at, field=f"{prefix}deliver_at"),
        expires_at=parse_time(item.expires_at, field=f"{prefix}expires_at"),
        prefix=prefix,
    )
