"""The trace of an event goes on with its deliveries (W3C Trace Context)."""

from __future__ import annotations

from typing import Any

import pytest

from hub.webhooks.events import make_event
from hub.webhooks.publishing import Publication, write
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.webhooks.world import World

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def publish(world: World, *, count: int = 1) -> None:
    events = [make_event("invoice.paid", "{}", None) for _ in range(count)]
    with world.engine.begin() as conn:
        write(conn, [Publication(world.tenant_id, events, "http", traceparent=TRACE)])


def test_every_attempt_carries_the_trace_and_shows_it(world: World, receiver: Provider) -> None:
    world.endpoint(receiver.url, retries=[0])
    receiver.script = [Answer(500)]
    publish(world)
    world.deliver()
    world.deliver()
    assert [call.headers["traceparent"] for call in receiver.calls] == [TRACE, TRACE]
    assert world.sql("SELECT request_headers->>'traceparent' FROM hub.attempt") == [(TRACE,), (TRACE,)]


def test_an_event_without_a_trace_carries_that_of_its_id_at_every_attempt(
    world: World, receiver: Provider
) -> None:
    world.endpoint(receiver.url, retries=[0])
    receiver.script = [Answer(500)]
    (receipt,) = world.publish("{}")
    world.deliver()
    world.deliver()
    own = receipt.id.removeprefix("msg_")
    assert [call.headers["traceparent"] for call in receiver.calls] == [f"00-{own}-{own[16:]}-01"] * 2
    # Nothing was written for it.
    assert world.sql("SELECT traceparent FROM hub.message") == [(None,)]


@pytest.mark.parametrize(
    ("settings", "sent"),
    [({"headers": {"Traceparent": "mine"}}, "mine"), ({"batch": {"size": 2}}, None)],
    ids=["own header", "batch"],
)
def test_an_endpoints_own_header_goes_before_and_a_batch_has_no_one_trace(
    world: World, receiver: Provider, settings: Any, sent: str | None
) -> None:
    world.endpoint(receiver.url, **settings)
    publish(world, count=2)
    world.deliver()
    assert {call.headers.get("traceparent") for call in receiver.calls} == {sent}
