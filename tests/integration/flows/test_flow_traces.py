"""One trace from the intake to the last service, whichever door the event came through."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from hub.core.ids import Kind, format_id
from tests.integration.flows.test_flows import Flows
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World
from tests.integration.sources.provider import SECRET, github

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = f"00-{TRACE}-00f067aa0ba902b7-00"


@pytest.fixture
def flows(world: World) -> Flows:
    return Flows(world)


def publish(flows: Flows, headers: dict[str, str]) -> None:
    answer = flows.world.call(
        "POST", "/events", json={"type": "order.paid", "data": {"total": 5}}, headers=headers
    )
    assert answer.status_code == 202, answer.text


def receive(flows: Flows, headers: dict[str, str]) -> None:
    made = flows.world.call(
        "POST",
        "/sources",
        json={
            "name": "code",
            "verifier": {"profile": "github"},
            "secrets": [SECRET],
            "event_type": "order.paid",
        },
    )
    assert made.status_code == 201, made.text
    body = b'{"total": 5}'
    answer = requests.post(made.json()["url"], data=body, headers=github(body) | headers, timeout=10)
    assert answer.status_code == 200


def from_sql(flows: Flows, headers: dict[str, str]) -> None:
    del headers
    tenant = format_id(Kind.TENANT, flows.world.tenant_id)
    flows.world.sql("SELECT hub.publish_event(:tenant, 'order.paid', '{\"total\": 5}')", tenant=tenant)


@pytest.mark.parametrize(
    ("door", "headers", "flags"),
    [
        (publish, {"traceparent": SENT}, "00"),
        (publish, {"traceparent": "00-nonsense"}, None),
        (publish, {}, None),
        (receive, {"traceparent": SENT}, "01"),
        (receive, {"traceparent": SENT + ", " + SENT}, None),
        (receive, {}, None),
        (from_sql, {}, None),
    ],
    ids=["http-with", "http-nonsense", "http", "incoming-with", "incoming-two", "incoming", "sql"],
)
def test_all_that_follows_from_an_event_has_its_trace(
    flows: Flows, provider: Provider, door: Any, headers: dict[str, str], flags: str | None
) -> None:
    world = flows.world
    integration = world.create(provider.url)["id"]
    flows.create(integration, name="one", publish=[{"on": "ended", "event_type": "user.made"}])
    flows.create(integration, name="two")
    flows.create(integration, name="three", event_types=["user.made"])
    hook = world.call(
        "POST", "/endpoints", json={"name": "hook", "url": provider.url, "event_types": ["order.paid"]}
    )
    assert hook.status_code == 201, hook.text
    door(flows, headers)
    (event,) = world.call("GET", "/events").json()["data"]
    trace = TRACE if flags else event["id"].removeprefix("msg_")
    assert event["trace_id"] == trace
    assert world.call("GET", f"/events/{event['id']}").json()["trace_id"] == trace
    ((job,), _) = flows.source.claim(100)
    assert job.envelope.traceparent is not None
    assert job.envelope.traceparent.split("-")[1] == trace
    assert job.envelope.traceparent.endswith(flags or "01")
    flows.run()
    assert [one["trace_id"] for one in flows.executions()] == [trace] * 3
    assert [one["trace_id"] for one in world.call("GET", "/events").json()["data"]] == [trace] * 2
    assert {call.headers["traceparent"].split("-")[1] for call in provider.calls} == {trace}
