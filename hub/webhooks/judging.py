"""What the catalogue of event types says of events that are about to be accepted, the same for every door."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hub.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence

    from hub.webhooks.catalogue.validation import Judgement
    from hub.webhooks.events import Event

    Check = Callable[[uuid.UUID, str, str], Judgement | None]


class Judged(NamedTuple):
    """One event of a request.

    Args:
        event: the event, or why it is not acceptable.
        warnings: what is wrong with it all the same.
    """

    event: Event | Invalid
    warnings: Sequence[FieldError] = ()


def judge(
    check: Check, tenant_id: uuid.UUID, events: Sequence[Event | Invalid], *, is_list: bool
) -> list[Judged] | None:
    """Judge events.

    Args:
        check: `Catalogue.check`, or `check_from_memory`.
        tenant_id: whose events they are.
        events: as `read_events` returns them.
        is_list: whether the fields of an error are to name the event's place.

    Returns:
        One for each event; None when `check` returned None.
    """
    judged = []
    for index, event in enumerate(events):
        if isinstance(event, Invalid):
            judged.append(Judged(event))
            continue
        verdict = check(tenant_id, event.type, event.data)
        if verdict is None:
            return None
        prefix = f"{index}." if is_list else ""
        if verdict.allowed:
            judged.append(Judged(event, _at(prefix, verdict.warnings)))
        else:
            fields = _at(prefix, verdict.errors)
            judged.append(
                Judged(Invalid("; ".join(f"{f.path} {f.message}" for f in fields[:5]) + ".", fields=fields))
            )
    return judged


def _at(prefix: str, fields: Sequence[FieldError]) -> tuple[FieldError, ...]:
    return tuple(FieldError(prefix + field.path, field.message) for field in fields)
