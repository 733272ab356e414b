"""Accepting events: from checked events to committed rows, the same for every door.

Accepted means committed: who calls `write` gives the answer after the transaction and rings after that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hub.access.idempotency import Claim, Fresh, IdempotencyKeyReused, Replay, hash_body
from hub.access.idempotency_store import claim_many, finish_key
from hub.core.ids import Kind, format_id
from hub.webhooks import store

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from hub.webhooks.events import Event


@dataclass(frozen=True, slots=True)
class Publication:
    """The events of one request.

    Args:
        tenant_id: whose they are.
        events: at least one.
        source: the door: `http`, `celery`, `incoming`, `test`.
        idempotency: the request's key and the hash of its body.
        traceparent: W3C trace context that goes on with them; None: each has the trace of its own id.
    """

    tenant_id: uuid.UUID
    events: Sequence[Event]
    source: str
    idempotency: tuple[str, bytes] | None = None
    traceparent: str | None = None

    @property
    def is_plain(self) -> bool:
        """Has nothing that could repeat: `write` needs one statement for any number of such publications."""
        return self.idempotency is None and all(event.event_id is None for event in self.events)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one event."""

    id: str
    status: Literal["accepted", "duplicate", "conflict"]

    def as_dict(self) -> dict[str, str]:
        """The JSON form."""
        return {"id": self.id, "status": self.status}


def write(
    conn: Connection, publications: Sequence[Publication]
) -> list[list[Receipt] | IdempotencyKeyReused]:
    """Write many publications in one transaction: one statement, two more when ids or keys are given.

    Args:
        conn: a connection inside the transaction whose commit is the acceptance.
        publications: whose order is the order of the answers.
    """
    answers: list[list[Receipt] | IdempotencyKeyReused] = [
        [Receipt(event.public_id, "accepted") for event in publication.events] for publication in publications
    ]
    open_indexes, repeats = _settle_requests(conn, publications, answers)
    fresh = _settle_events(conn, publications, open_indexes, answers)
    _keep_answers(conn, publications, open_indexes, answers)
    for i, first in repeats.items():
        receipts = answers[first]
        assert isinstance(receipts, list)
        answers[i] = [_repeated(receipt.id, receipt.status) for receipt in receipts]
    if fresh:
        store.insert_messages(
            conn,
            [_row(publication, event) for publication, event in fresh],
        )
    return answers


def _row(publication: Publication, event: Event) -> store.NewMessage:
    options = event.options
    return store.NewMessage(
        event.row_id,
        publication.tenant_id,
        event.type,
        event.data,
        publication.source,
        event.event_id,
        options.labels or None,
        options.ordering_key,
        options.deliver_at,
        options.expires_at,
        publication.traceparent,
    )


def _settle_requests(
    conn: Connection, publications: Sequence[Publication], answers: list[list[Receipt] | IdempotencyKeyReused]
) -> tuple[list[int], dict[int, int]]:
    """Answer requests whose Idempotency-Key was used in an earlier transaction.

    Returns:
        The indexes of the requests that are new, and those that repeat one of them with the index of that one.
    """
    keyed = [i for i, p in enumerate(publications) if p.idempotency is not None]
    if not keyed:
        return list(range(len(publications))), {}
    claims = []
    for i in keyed:
        publication = publications[i]
        assert publication.idempotency is not None
        key, body_hash = publication.idempotency
        response = [[event.public_id, "accepted"] for event in publication.events]
        claims.append(
            Claim(publication.tenant_id, "events.publish", key, body_hash, response=response, status=202)
        )
    settled: set[int] = set()
    new: dict[tuple[uuid.UUID, str], int] = {}
    repeats: dict[int, int] = {}
    for i, claim, outcome in zip(keyed, claims, claim_many(conn, claims), strict=True):
        identity = (claim.tenant_id, claim.key)
        if isinstance(outcome, Fresh):
            new[identity] = i
            continue
        settled.add(i)
        if isinstance(outcome, IdempotencyKeyReused):
            answers[i] = outcome
        elif identity in new:  # in this very batch, whose events are not settled yet
            repeats[i] = new[identity]
        else:
            answers[i] = [_repeated(event_id, status) for event_id, status in outcome.response]
    return [i for i in range(len(publications)) if i not in settled], repeats


def _repeated(event_id: str, status: str) -> Receipt:
    """What a repeat is told of an event of the first request."""
    return Receipt(event_id, "conflict" if status == "conflict" else "duplicate")


def _keep_answers(
    conn: Connection,
    publications: Sequence[Publication],
    indexes: Sequence[int],
    answers: list[list[Receipt] | IdempotencyKeyReused],
) -> None:
    """Correct what is stored under a request's key when not all of its events turned out to be new."""
    for i in indexes:
        publication, receipts = publications[i], answers[i]
        assert isinstance(receipts, list)
        if publication.idempotency is None or all(receipt.status == "accepted" for receipt in receipts):
            continue
        finish_key(
            conn,
            publication.tenant_id,
            "events.publish",
            publication.idempotency[0],
            status=202,
            response=[[receipt.id, receipt.status] for receipt in receipts],
            resource_id=None,
        )


def _settle_events(
    conn: Connection,
    publications: Sequence[Publication],
    indexes: Sequence[int],
    answers: list[list[Receipt] | IdempotencyKeyReused],
) -> list[tuple[Publication, Event]]:
    """Find events whose publisher id was seen; return the new ones."""
    fresh: list[tuple[Publication, Event]] = []
    named: list[tuple[int, int]] = []
    claims = []
    for i in indexes:
        publication = publications[i]
        for j, event in enumerate(publication.events):
            if event.event_id is None:
                fresh.append((publication, event))
                continue
            named.append((i, j))
            claims.append(
                Claim(
                    publication.tenant_id,
                    "event",
                    event.event_id,
                    hash_body(f"{event.type}\0{event.data}".encode()),
                    resource_id=event.row_id,
                )
            )
    for (i, j), outcome in zip(named, claim_many(conn, claims) if claims else [], strict=True):
        publication = publications[i]
        event = publication.events[j]
        if isinstance(outcome, Fresh):
            fresh.append((publication, event))
            continue
        receipts = answers[i]
        assert isinstance(receipts, list)
        if isinstance(outcome, Replay) and outcome.resource_id is not None:
            receipts[j] = Receipt(format_id(Kind.MESSAGE, outcome.resource_id), "duplicate")
        else:
            receipts[j] = Receipt(event.event_id or "", "conflict")
    return fresh
