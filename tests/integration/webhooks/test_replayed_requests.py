"""A request sent twice under one Idempotency-Key gets the ids of the events that exist."""

from __future__ import annotations

from sqlalchemy import Engine, text

from hub.access.idempotency import hash_body
from hub.access.issuing import open_tenant
from hub.webhooks.events import make_event
from hub.webhooks.publishing import Publication, Receipt, write


def test_a_replay_names_only_events_that_were_written(engine: Engine) -> None:
    with engine.begin() as conn:
        tenant = open_tenant(conn, "acme")
        first = make_event("a.b", "{}", "one")
        write(conn, [Publication(tenant.id, [first], "http")])

    def send() -> list[Receipt]:
        # The same request again: its events get fresh ids before it is known to be a repeat.
        events = [
            make_event("a.b", "{}", "one"),
            make_event("a.b", "1", "one"),
            make_event("a.b", "{}", None),
        ]
        with engine.begin() as conn:
            answer = write(conn, [Publication(tenant.id, events, "http", ("key", hash_body(b"x")))])[0]
        assert isinstance(answer, list)
        return answer

    answer, replay = send(), send()
    assert [receipt.status for receipt in answer] == ["duplicate", "conflict", "accepted"]
    assert [receipt.status for receipt in replay] == ["duplicate", "conflict", "duplicate"]
    assert [receipt.id for receipt in replay] == [receipt.id for receipt in answer]
    assert answer[0].id == first.public_id
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM hub.message")) == 2
