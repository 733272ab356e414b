"""Rows to JSON. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.ids import Kind, format_id
from hub.webhooks.replay import schemas

if TYPE_CHECKING:
    from sqlalchemy import Row

    from hub.webhooks.replay.counting import Tally

MAX_OUTCOMES = 10_000
_MAX_COUNTS = 250
#: An estimate from less than this is none.
_TELLING = 0.01


def replay(row: Row[Any]) -> dict[str, Any]:
    """A job."""
    shown = {
        name: getattr(row, name)
        for name in (
            "kind", "state", "reason", "error", "since", "until", "states", "event_types", "labels", "response",
            "filter", "rate", "scanned", "selected", "requeued", "waiting", "worker", "created_at", "started_at",
            "finished_at",
        )
    }  # fmt: skip
    return {
        **shown,
        "id": format_id(Kind.REPLAY, row.id),
        "endpoint": None if row.endpoint_id is None else format_id(Kind.ENDPOINT, row.endpoint_id),
        "progress": round(row.fraction, 4),
        "estimated_total": estimate(row.selected, row.fraction),
    }


def estimate(selected: int, fraction: float) -> int | None:
    """What will have been selected at the end; None while too little was looked at to tell.

    Args:
        selected: so far.
        fraction: of the whole that was looked at.
    """
    return round(selected / fraction) if fraction >= _TELLING else None


def detail(row: Row[Any], outcomes: dict[str, int], held: int) -> schemas.ReplayDetail:
    """A job with what became of its deliveries."""
    return schemas.ReplayDetail(
        **replay(row),
        outcomes=outcomes,
        outcomes_complete=row.requeued <= MAX_OUTCOMES,
        held_endpoints=held,
    )


def dry_run(tally: Tally, held: int) -> schemas.DryRun:
    """What was counted."""
    counts = [
        schemas.Count(endpoint=format_id(Kind.ENDPOINT, endpoint_id), state=state, count=n)
        for (endpoint_id, state), n in tally.counts.most_common(_MAX_COUNTS)
    ]
    sample = [
        schemas.Sample(
            event=format_id(Kind.MESSAGE, one.message_id),
            endpoint=format_id(Kind.ENDPOINT, one.endpoint_id),
            delivery=None if one.delivery_id is None else format_id(Kind.DELIVERY, one.delivery_id),
            state=one.state,
        )
        for one in tally.sample
    ]
    return schemas.DryRun(
        total=tally.counts.total(),
        waiting=tally.waiting,
        counts=counts,
        sample=sample,
        scanned=tally.scanned,
        complete=tally.complete,
        held_endpoints=held,
    )
