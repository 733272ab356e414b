"""What a flow could not publish is published later, by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from hub.core.ids import Kind, format_id, new_uuid
from hub.flows.announcing import Announcer
from hub.transforms import Sandbox
from tests.integration.flows.test_flow_access import body, new_key
from tests.integration.flows.test_flows import Flows
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World

MAPPING = [{"jsonata": '{"name": data.name, "total": event.data.total}'}]


@pytest.fixture
def flows(world: World) -> Flows:
    return Flows(world)


def events(world: World) -> Sequence[Any]:
    return world.sql(
        "SELECT type, data, depth, traceparent FROM hub.message WHERE source = 'flow' ORDER BY type, data"
    )


def again(flows: Flows, flow: dict[str, Any], *executions: str, **body: Any) -> Any:
    return flows.world.call("POST", f"/flows/{flow['id']}/publish", json={"executions": executions, **body})


def test_an_event_that_a_busy_sandbox_cost_is_made_as_it_would_have_been(
    flows: Flows, provider: Provider
) -> None:
    provider.default = lambda _call: Answer(body=b'{"name": "Ada"}')
    world = flows.world
    flow = flows.create(
        world.create(provider.url)["id"], publish=[{"event_type": "made", "mapping": MAPPING}]
    )
    usual = world.announce
    with Sandbox() as closed:
        closed.close()
        world.announce = Announcer(closed, world.bell.ring).announce
        flows.publish(data={"total": 5})
        flows.run()
    world.announce = usual
    (entry,) = world.call("GET", "/audit", params={"action": "flow.publish_failed"}).json()["data"]
    lost = entry["details"]["executions"]
    assert events(world) == []

    answer = again(flows, flow, *lost)
    assert answer.status_code == 200, answer.text
    (made,) = answer.json()["data"]
    assert (made["execution"], made["event_type"], made["why_not"]) == (lost[0], "made", None)
    assert len(provider.calls) == 1

    # The same that comes of an execution that goes well.
    flows.publish(data={"total": 5})
    flows.run()
    late, timely = events(world)
    assert (late.type, json.loads(late.data), late.depth) == (
        "made",
        {"name": "Ada", "total": 5},
        timely.depth,
    )
    assert (timely.data, timely.type) == (late.data, late.type)
    assert {one.traceparent.split("-")[1] for one in (late, timely)} == {
        one["trace_id"] for one in flows.executions(flow=flow["id"])
    }
    told = world.call("GET", f"/events/{made['event']}").json()
    assert told["type"] == "made"
    (entry,) = world.call("GET", "/audit", params={"action": "flow.republished"}).json()["data"]
    assert entry["subject"] == flow["id"]
    assert entry["details"] == {"name": "flow", "executions": lost, "events": 1, "failed": 0}


def test_what_needs_an_event_that_was_not_kept_is_not_made_without_it(
    flows: Flows, provider: Provider
) -> None:
    integration = flows.world.create(provider.url, data_policy={"store": "none"})["id"]
    rules = [
        {"event_type": "with", "mapping": [{"jsonata": '{"total": event.data.total}'}]},
        {"event_type": "without", "mapping": [{"jsonata": '{"state": state}'}]},
    ]
    flow = flows.create(integration, publish=rules)
    flows.publish(data={"total": 5})
    flows.run()
    told = {one.type: json.loads(one.data) for one in events(flows.world)}
    assert told == {"with": {"total": 5}, "without": {"state": "done"}}
    (execution,) = flows.executions()
    lost, made = again(flows, flow, execution["id"]).json()["data"]
    assert (lost["event"], "was not kept" in lost["why_not"]) == (None, True)
    assert (made["event_type"], made["why_not"]) == ("without", None)


def test_what_is_published_again_starts_other_flows(flows: Flows, provider: Provider) -> None:
    made = flows.world.create(provider.url)["id"]
    flow = flows.create(made, publish=[])
    flows.create(made, name="next", event_types=["made"], operation="get_user",
                 mapping=[{"jsonata": '{"path": {"id": 3}}'}])  # fmt: skip
    flows.publish()
    flows.run()
    (first,) = flows.executions()
    change = {"publish": [{"event_type": "made"}]}
    assert flows.world.call("PATCH", f"/flows/{flow['id']}", json=change).status_code == 200
    assert again(flows, flow, first["id"]).status_code == 200
    flows.run()
    assert [one["operation"] for one in flows.executions()] == ["get_user", "make_user"]


def test_each_event_tells_whether_it_was_made(flows: Flows, provider: Provider) -> None:
    provider.default = lambda call: Answer(status=400 if b"bad" in call.body else 200, body=b'"canary-22"')
    rules = [
        {"on": "ended", "event_type": "ended", "mapping": []},
        {"on": "failed", "event_type": "failed", "mapping": []},
        {"on": "succeeded", "event_type": "lost", "mapping": [{"template": {"x": "{{ data.nothing }}"}}]},
    ]
    flow = flows.create(flows.world.create(provider.url)["id"], publish=rules)
    for word in ("good", "bad"):
        flows.publish(data={"word": word})
    flows.run()
    flows.world.sql("DELETE FROM hub.outbox")
    flows.world.sql("DELETE FROM hub.message WHERE source = 'flow'")
    bad, good = flows.executions()
    if bad["state"] == "done":
        bad, good = good, bad

    answer = again(flows, flow, good["id"], bad["id"], good["id"])
    assert answer.status_code == 200, answer.text
    found = [(one["execution"], one["event_type"], one["event"] is None) for one in answer.json()["data"]]
    assert found == [
        (good["id"], "ended", False),
        (good["id"], "lost", True),
        (bad["id"], "ended", False),
        (bad["id"], "failed", False),
    ]
    assert "Step 0 (template)" in answer.json()["data"][1]["why_not"]
    assert "canary" not in answer.text
    assert [one.type for one in events(flows.world)] == ["ended", "ended", "failed"]

    only = again(flows, flow, good["id"], bad["id"], event_type="failed").json()["data"]
    assert [(one["execution"], one["event_type"]) for one in only] == [(bad["id"], "failed")]
    none = again(flows, flow, good["id"], event_type="nothing")
    assert none.status_code == 422
    assert none.json()["errors"][0] == {
        "path": "event_type",
        "message": "the flow publishes ended, failed, lost",
    }


def test_executions_that_cannot_be_told_of_are_all_named_and_nothing_is_published(
    flows: Flows, provider: Provider
) -> None:
    world = flows.world
    integration = world.create(provider.url)["id"]
    flow = flows.create(integration, publish=[{"event_type": "made"}])
    other = flows.create(integration, name="other", event_types=["other"])
    flows.publish()
    flows.publish("other")
    flows.run()
    flows.publish()
    flows.source.claim(100)
    waiting, *ended = flows.executions()
    (mine,) = [one["id"] for one in ended if one["flow"] == flow["id"]]
    (others,) = [one["id"] for one in ended if one["flow"] == other["id"]]
    before = len(events(world))
    answer = again(flows, flow, mine, mine, others, waiting["id"], format_id(Kind.EXECUTION, new_uuid()))
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"path": "executions.2", "message": "is no execution that this flow started"},
        {"path": "executions.3", "message": "has not ended: it is due"},
        {"path": "executions.4", "message": "is no execution that this flow started"},
    ]
    for wrong in (["nonsense"], [], [mine] * 21):
        assert again(flows, flow, *wrong).status_code == 422, wrong
    assert len(events(world)) == before


def test_who_may_not_use_the_integration_publishes_nothing_of_it(flows: Flows, provider: Provider) -> None:
    world = flows.world
    made = world.create(provider.url, access={"roles": ["billing"]})
    _, billing = new_key(world, "billing")
    _, sales = new_key(world, "sales")
    flow = world.call(
        "POST",
        "/flows",
        key=billing,
        json=body(made["id"], publish=[{"event_type": "made"}]),
    ).json()
    flows.publish()
    flows.run()
    (execution,) = flows.executions(flow=flow["id"])
    path, given = f"/flows/{flow['id']}/publish", {"executions": [execution["id"]]}
    before = len(events(world))
    assert world.call("POST", path, key=sales, json=given).status_code == 403
    assert len(events(world)) == before
    # Nor when the flow calls another one by now, which is open to all.
    other = world.create(provider.url, name="open")
    change = {"integration": other["id"]}
    assert world.call("PATCH", f"/flows/{flow['id']}", key=billing, json=change).status_code == 200
    assert world.call("POST", path, key=sales, json=given).status_code == 403
    assert world.call("POST", path, key=billing, json=given).status_code == 200
    assert len(events(world)) == before + 1
