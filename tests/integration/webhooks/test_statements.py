"""What an event costs the database: SQL statements from publish to recorded delivery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from hub.net.outcome import Outcome
from tests.integration.integrations.provider import Provider
from tests.integration.webhooks.world import World


@pytest.fixture
def statements(world: World) -> Iterator[list[str]]:
    """Every statement that the engine sends, transaction control aside."""
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(" ".join(statement.split())[:60])

    event.listen(world.engine, "before_cursor_execute", note)
    yield seen
    event.remove(world.engine, "before_cursor_execute", note)


def test_a_thousand_events_in_lists_of_a_hundred_cost_less_than_one_statement_each(
    world: World, receiver: Provider, statements: list[str]
) -> None:
    world.endpoint(receiver.url)
    statements.clear()
    for n in range(10):
        world.publish(*["{}"] * 100, ids=[f"e{n}-{m}" for m in range(100)])
    published = len(statements)
    report = world.deliver()
    print(f"1,000 events: {published} statements to publish, {len(statements) - published} to deliver")
    assert report.recorded == len(receiver.calls) == 1_000
    assert published <= 20
    assert len(statements) <= 1_000


def test_one_event_costs_at_most_eight_statements(
    world: World, receiver: Provider, statements: list[str]
) -> None:
    """From publish to recorded delivery by a worker that knows the tenant; empty looks come on top, four a second."""
    world.endpoint(receiver.url)
    source = world.source()
    world.publish("{}")
    world.deliver(source)
    statements.clear()
    world.publish("{}")
    jobs, _ = source.claim(500)
    assert len(jobs) == 1
    source.record([(jobs[0], Outcome(200, None))])()
    assert world.states("state")[-1] == ("done",)
    del statements[-1:]  # the look of this test
    print(f"one event: {len(statements)} statements")
    assert len(statements) <= 8, statements


def test_looking_and_finding_nothing_costs_one_statement(world: World, statements: list[str]) -> None:
    assert world.source().claim(500) == ([], False)
    assert len(statements) == 1
