"""Judged requests in the database: what a group costs, what is deleted, what a fault of one does to the others."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from hub.core.errors import Invalid, Unavailable
from hub.core.ids import new_uuid
from hub.db.engine import make_engine
from hub.sources import store
from hub.sources.intake import Intake, Judged, key_of, settle
from hub.sources.store import NewInbound
from hub.webhooks.events import make_event

TENANT, SOURCE = new_uuid(), new_uuid()


def judged(
    event_id: str | None = None, *, source: uuid.UUID = SOURCE, outcome: str = "accepted", peer: str = "::1"
) -> Judged:
    row = NewInbound(
        id=new_uuid(), tenant_id=TENANT, source_id=source, received_at=datetime.now(UTC), method="POST", path="/in",
        query="", peer=peer, headers={"a": "b"}, body=b"\x00\xff{}", body_bytes=4, outcome=outcome, reason="ok",
        detail="", event_id=event_id,
    )  # fmt: skip
    if outcome != "accepted":
        return Judged(row)
    return Judged(row, make_event("a.b", "{}", None), key_of(event_id, b"", "id"), 3_600)


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def outcomes(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as conn:
        return [
            tuple(row) for row in conn.execute(text("SELECT outcome, event_id FROM hub.inbound ORDER BY id"))
        ]


def test_a_group_of_any_size_costs_three_statements_and_four_with_repeats(
    engine: Engine, statements: list[str]
) -> None:
    with engine.begin() as conn:
        settle(conn, [judged(f"e{n}") for n in range(200)])
    assert len(statements) == 3, statements
    statements.clear()
    with engine.begin() as conn:
        ends = settle(conn, [judged("e1"), judged("new"), judged("new"), judged()])
    assert len(statements) == 4, statements
    assert [end.outcome for end in ends] == ["duplicate", "accepted", "duplicate", "accepted"]
    assert ends[1].message_id == ends[2].message_id
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM hub.message")) == 202
        assert conn.scalar(text("SELECT body FROM hub.inbound LIMIT 1")) == b"\x00\xff{}"


def test_of_many_repeats_in_one_group_a_few_are_written(engine: Engine) -> None:
    with engine.begin() as conn:
        ends = settle(conn, [judged("same") for _ in range(100)])
    assert [end.outcome for end in ends] == ["accepted"] + ["duplicate"] * 99
    assert len(outcomes(engine)) == 11


def test_only_the_newest_are_kept_of_each_outcome_and_all_that_were_accepted(engine: Engine) -> None:
    other = new_uuid()
    with engine.begin() as conn:
        settle(conn, [judged(f"r{n}", outcome="rejected") for n in range(20)])
        settle(conn, [judged(f"h{n}", outcome="handshake") for n in range(3)])
        settle(conn, [judged(f"a{n}") for n in range(20)])
        settle(conn, [judged("other", source=other, outcome="rejected")])
        kinds = [(SOURCE, "rejected"), (SOURCE, "handshake"), (other, "rejected"), (SOURCE, "accepted")]
        assert store.trim_inbound(conn, kinds, keep=5) == 15
    kept = outcomes(engine)
    assert [one for one in kept if one[0] == "rejected"] == [
        *[("rejected", f"r{n}") for n in range(15, 20)], ("rejected", "other"),
    ]  # fmt: skip
    assert len(kept) == 5 + 3 + 20 + 1


def test_keys_whose_window_has_passed_are_forgotten(engine: Engine) -> None:
    with engine.begin() as conn:
        settle(conn, [judged("one"), judged("two"), judged("three")])
        assert store.prune_inbound_keys(conn) == 0
        conn.execute(text("UPDATE hub.inbound_key SET expires_at = now() - interval '1 second'"))
        assert store.prune_inbound_keys(conn, limit=2) == 2
        assert store.prune_inbound_keys(conn, limit=2) == 1


def put(engine: Engine, items: list[Judged], rings: list[Any] | None = None) -> list[Any]:
    """Put items into an intake at the same time; what became of each."""

    async def run() -> list[Any]:
        ring = (lambda *_: None) if rings is None else (lambda task, ids=(): rings.append((task, ids)))
        intake = Intake(engine, ring, window_seconds=0.005)
        await intake.start()
        try:
            return await asyncio.gather(*(intake.put(one) for one in items), return_exceptions=True)
        finally:
            await intake.stop()

    return asyncio.run(run())


def test_what_comes_together_is_committed_together_and_rung_for_once(engine: Engine) -> None:
    rings: list[Any] = []
    commits: list[int] = []
    event.listen(engine, "commit", lambda _: commits.append(1))
    items = [judged(f"e{n}") for n in range(50)]
    ends = put(engine, items, rings)
    assert [end.outcome for end in ends] == ["accepted"] * 50
    assert (len(commits), len(rings)) == (1, 1)
    assert put(engine, [judged("e1"), judged(outcome="rejected")], rings)[0].outcome == "duplicate"
    assert len(rings) == 1, "a repeat makes no work"


def test_one_that_the_database_refuses_does_not_cost_the_others(engine: Engine) -> None:
    bad = judged("bad", peer="a\0b")
    ends = put(engine, [judged("first"), bad, judged("last")])
    assert isinstance(ends[1], Invalid)
    assert [end.outcome for end in (ends[0], ends[2])] == ["accepted", "accepted"]
    assert [one[1] for one in outcomes(engine)] == ["first", "last"]


def test_a_database_that_is_away_makes_everybody_come_again() -> None:
    away = make_engine("postgresql://127.0.0.1:9/none")
    assert [type(end) for end in put(away, [judged("a"), judged("b")])] == [Unavailable] * 2
