"""Events that start operations, and operations whose ends are events."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from hub.core.clock import SystemClock
from hub.db.states import State
from hub.flows.announcing import Announcer
from hub.flows.triggers import FlowTriggers
from hub.integrations.pipeline.call import Stopped
from hub.queue.contracts import TaskName
from hub.transforms import Sandbox
from hub.webhooks.admission import Admission
from hub.webhooks.catalogue.validation import Catalogue
from hub.webhooks.delivery import DeliverySource
from hub.webhooks.directory import Directory
from hub.webhooks.statistics import Statistics
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World


class Flows:
    """A world in which events are fanned out to flows."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.announce = Announcer(world.sandbox, world.bell.ring).announce
        settings = world.services.settings
        self.source = DeliverySource(
            world.engine,
            Directory(world.services.vault, settings, SystemClock()),
            Catalogue(world.engine),
            Admission(100, max_bytes=1_000_000),
            Statistics(),
            FlowTriggers(world.bell.ring),
            clock=SystemClock(),
            rng=Random(1),
            owner="deliver",
            lease=30.0,
        )

    def create(self, integration: str, **fields: Any) -> dict[str, Any]:
        body = {
            "name": "flow",
            "event_types": ["order.paid"],
            "integration": integration,
            "operation": "make_user",
            "mapping": [{"rename": {"data": "body"}}, {"pick": ["body"]}],
            **fields,
        }
        answer = self.world.call("POST", "/flows", json=body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def publish(self, event_type: str = "order.paid", data: Any = None, **fields: Any) -> str:
        body = {"type": event_type, "data": data or {"total": 5}, **fields}
        answer = self.world.call("POST", "/events", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def run(self) -> None:
        """Fan out, execute, and so on until nothing is left to do."""
        for _ in range(30):
            before = self.counts()
            self.source.claim(100)
            self.world.run_executions()
            if self.counts() == before:
                return

    def counts(self) -> Any:
        return self.world.sql(
            "SELECT (SELECT count(*) FROM hub.outbox), (SELECT count(*) FROM hub.message),"
            " (SELECT count(*) FROM hub.execution), (SELECT count(*) FROM hub.execution WHERE state = 'due')"
        )

    def executions(self, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.world.call("GET", "/executions", params=query).json()["data"]
        return found


@pytest.fixture
def flows(world: World) -> Flows:
    return Flows(world)


def test_an_event_starts_the_operation_once_with_the_mapped_input(flows: Flows, provider: Provider) -> None:
    made = flows.create(flows.world.create(provider.url)["id"])
    event = flows.publish(data={"name": "Ada"})
    flows.run()
    (call,) = provider.calls
    assert (call.method, call.path, call.body) == ("POST", "/users", b'{"name":"Ada"}')
    (execution,) = flows.executions(flow=made["id"])
    assert (execution["state"], execution["event"], execution["source"]) == ("done", event, "flow")
    assert [one["id"] for one in flows.executions(event=event)] == [execution["id"]]
    # One trace, from the execution to the service.
    assert call.headers["traceparent"].split("-")[1] == execution["trace_id"]
    assert (TaskName.EXECUTIONS_RUN, []) in flows.world.bell.rings
    assert flows.world.sql("SELECT reason FROM hub.message") == [(None,)]


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        ({"event_types": ["order.refunded"]}, {}),
        ({"labels": ["eu"]}, {"labels": ["us"]}),
        ({"filter": {"data.total": {"$gt": 10}}}, {}),
        ({"paused": True}, {}),
    ],
)
def test_only_the_events_that_it_takes(
    flows: Flows, provider: Provider, fields: dict[str, Any], event: dict[str, Any]
) -> None:
    flows.create(flows.world.create(provider.url)["id"], **fields)
    flows.publish(**event)
    flows.run()
    assert not provider.calls
    assert flows.executions() == []


def test_a_change_is_honoured_by_the_next_event(flows: Flows, provider: Provider) -> None:
    made = flows.create(flows.world.create(provider.url)["id"])
    flows.publish()
    flows.run()
    path = f"/flows/{made['id']}"
    assert flows.world.call("PATCH", path, json={"paused": True}).json()["version"] == 2
    flows.publish()
    flows.run()
    assert len(provider.calls) == 1
    flows.world.call(
        "PATCH",
        path,
        json={
            "paused": False,
            "operation": "get_user",
            "mapping": [{"set": {"path": {"id": 3}}}, {"pick": ["path"]}],
        },
    )
    flows.publish()
    flows.run()
    assert provider.calls[-1].path == "/users/3"
    assert flows.world.call("DELETE", path).status_code == 204
    flows.publish()
    flows.run()
    assert len(provider.calls) == 2


def test_the_end_of_the_operation_is_an_event_that_starts_the_next(flows: Flows, provider: Provider) -> None:
    integration = flows.world.create(provider.url)["id"]
    provider.script = [Answer(body=b'{"id": 77}')]
    flows.create(
        integration,
        publish=[
            {
                "on": "succeeded",
                "event_type": "user.made",
                "mapping": [{"pick": ["data.id", "event.data.total"]}],
            }
        ],
    )
    flows.create(
        integration,
        name="second",
        event_types=["user.*"],
        mapping=[{"rename": {"data": "body"}}, {"pick": ["body"]}],
    )
    first = flows.publish(data={"total": 5})
    flows.run()
    assert [call.body for call in provider.calls] == [
        b'{"total":5}',
        b'{"data":{"id":77},"event":{"data":{"total":5}}}',
    ]
    second, one = flows.executions()
    assert one["event"] == first
    # It is one trace, through both.
    assert second["trace_id"] == one["trace_id"]


def test_a_loop_is_cut(flows: Flows, provider: Provider) -> None:
    integration = flows.world.create(provider.url)["id"]
    flows.create(integration, event_types=["*"], publish=[{"on": "ended", "event_type": "again"}])
    flows.publish()
    flows.run()
    assert len(provider.calls) == 8
    assert {row.depth for row in flows.world.sql("SELECT depth FROM hub.execution")} == set(range(1, 9))


def test_what_a_flow_publishes_is_judged_by_the_catalogue(flows: Flows, provider: Provider) -> None:
    world = flows.world
    integration = world.create(provider.url)["id"]
    schema = {"type": "object", "required": ["name"]}
    for name in ("made.bad", "made.good"):
        made = {"name": name, "schema": schema, "validation": "enforce"}
        assert world.call("POST", "/event-types", json=made).status_code == 201
    for name in ("bad", "good"):
        mapping = [{"set": {"name" if name == "good" else "title": "Ada"}}]
        publish = [{"event_type": f"made.{name}", "mapping": mapping}]
        flows.create(integration, name=name, publish=publish)
        listening = {"name": f"after {name}", "event_types": [f"made.{name}"], "operation": "get_user"}
        flows.create(integration, **listening)
    flows.publish()
    flows.run()
    shown = world.call("GET", "/events").json()["data"]
    assert {(one["type"], one["state"], one["reason"]) for one in shown} == {
        ("order.paid", "done", None),
        ("made.good", "done", None),
        ("made.bad", "failed", "schema_invalid"),
    }
    operations = sorted(one["operation"] for one in flows.executions())
    assert operations == ["get_user", "make_user", "make_user"]


def test_a_rule_that_leaves_out_its_defaults_is_changed_into_a_whole_one(
    flows: Flows, provider: Provider
) -> None:
    made = flows.create(flows.world.create(provider.url)["id"])
    path = f"/flows/{made['id']}"
    for rule in ({"event_type": "made"}, {"event_type": "made", "mapping": []}):
        answer = flows.world.call("PATCH", path, json={"publish": [rule]})
        assert answer.status_code == 200, answer.text
        (kept,) = (row.publish for row in flows.world.sql("SELECT publish FROM hub.flow"))
        assert kept == [{"on": "succeeded", "event_type": "made", "mapping": []}]
    flows.publish()
    flows.run()
    assert [one["state"] for one in flows.executions()] == ["done"]
    assert flows.world.sql("SELECT count(*) FROM hub.message WHERE type = 'made'")[0][0] == 1


LOST = [
    ({"on": "ended", "event_type": "lost", "mapping": [{"template": {"x": "{{ data.nothing }}"}}]}, "Step 0 (template)"),
    ({"on": "ended", "event_type": "lost", "mapping": [{"jsonata": "$error(event.data.secret)"}]}, "error of its own"),
    ({"on": "ended", "event_type": "lost", "mapping": [{"jsonata": '{"a": "\\u0000"}'}]}, "U+0000"),
    # As nobody can save it: whatever else becomes of it, the execution has ended.
    ({"event_type": "lost"}, "KeyError"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "why"), LOST, ids=["step", "expression", "text", "spoilt"])
@pytest.mark.parametrize("end", ["done", "cancelled"])
def test_an_event_that_cannot_be_made_is_told_by_the_audit_log_and_costs_nothing_else(
    flows: Flows, provider: Provider, rule: dict[str, Any], why: str, end: str
) -> None:
    provider.default = lambda _call: Answer(body=b'{"secret": "canary-5f1c"}')
    world = flows.world
    made = flows.create(world.create(provider.url)["id"])
    rules = [rule, {"on": "ended", "event_type": "kept", "mapping": []}]
    world.sql("UPDATE hub.flow SET publish = CAST(:rules AS jsonb)", rules=json.dumps(rules))
    for _ in range(2):
        flows.publish(data={"secret": "canary-77e0"})
    flows.source.claim(100)
    ids = {one["id"] for one in flows.executions()}
    if end == "cancelled":
        for one in ids:
            assert world.call("POST", f"/executions/{one}/cancel").status_code == 200
    flows.run()
    assert [one["state"] for one in flows.executions()] == [end] * 2
    kinds = [row.type for row in world.sql("SELECT type FROM hub.message WHERE source = 'flow'")]
    assert kinds == ["kept"] * 2
    entries = world.call("GET", "/audit", params={"action": "flow.publish_failed"}).json()["data"]
    assert {(entry["subject"], entry["actor"]) for entry in entries} == {(made["id"], None)}
    told = [entry["details"] for entry in entries]
    assert {(one["name"], one["event_type"]) for one in told} == {("flow", "lost")}
    assert {name for one in told for name in one["executions"]} == ids
    assert sum(one["count"] for one in told) == 2
    assert all(why in one["why"] for one in told), told
    assert "canary" not in json.dumps(told)


def test_a_busy_sandbox_costs_the_event_and_is_told(flows: Flows, provider: Provider) -> None:
    world = flows.world
    rule = {"event_type": "made", "mapping": [{"jsonata": '{"a": data}'}]}
    flows.create(world.create(provider.url)["id"], publish=[rule])
    with Sandbox() as closed:
        closed.close()
        world.announce = Announcer(closed, world.bell.ring).announce
        flows.publish()
        flows.run()
    assert [one["state"] for one in flows.executions()] == ["done"]
    (entry,) = world.call("GET", "/audit", params={"action": "flow.publish_failed"}).json()["data"]
    assert "Expressions are no longer evaluated" in entry["details"]["why"]


def test_a_mapping_that_does_not_fit_is_a_failed_execution_that_can_be_made_again(
    flows: Flows, provider: Provider
) -> None:
    flows.create(flows.world.create(provider.url)["id"], mapping=[{"cast": {"data.total": "number"}}])
    flows.publish(data={"total": "many"})
    flows.run()
    (execution,) = flows.executions()
    assert (execution["state"], execution["error"]["type"]) == ("failed", "flow_mapping")
    assert not provider.calls


def test_who_listens_hears_how_executions_ended(flows: Flows, provider: Provider) -> None:
    world = flows.world
    integration = world.create(provider.url)["id"]
    world.execute(integration)
    flows.run()
    assert world.sql("SELECT count(*) FROM hub.message")[0][0] == 0, "nobody listens"
    answer = world.call(
        "POST",
        "/endpoints",
        json={"name": "ops", "url": provider.url, "kind": "operations", "event_types": ["execution.*"]},
    )
    assert answer.status_code == 201, answer.text
    world.execute(integration)
    provider.default = lambda _call: Answer(status=404)
    execution = world.execute(integration)
    world.run_executions()
    events = {row.type: row.data for row in world.sql("SELECT type, data::json AS data FROM hub.message")}
    assert set(events) == {"execution.succeeded", "execution.failed"} or len(events) == 1
    assert events["execution.failed"]["execution"] in {execution, *(one["id"] for one in flows.executions())}
    assert events["execution.failed"]["status"] == 404
    assert (TaskName.DELIVERIES_SEND, []) in world.bell.rings


@pytest.mark.parametrize("moment", ["due", "held", "under way"])
def test_a_cancelled_execution_is_told_of_like_any_other_end(
    flows: Flows, provider: Provider, moment: str
) -> None:
    world = flows.world
    integration = world.create(provider.url)["id"]
    operations = {"name": "ops", "url": provider.url, "kind": "operations", "event_types": ["execution.*"]}
    assert world.call("POST", "/endpoints", json=operations).status_code == 201
    mapping = [{"pick": ["execution", "state", "event.data.total"]}]
    flows.create(
        integration,
        publish=[
            {"on": "ended", "event_type": "over", "mapping": mapping},
            {"on": "succeeded", "event_type": "never"},
            {"on": "failed", "event_type": "never"},
        ],
    )
    flows.publish(data={"total": 5})
    flows.source.claim(100)
    (execution,) = (one["id"] for one in flows.executions())
    if moment == "held":
        world.call("PATCH", f"/integrations/{integration}", json={"status": "inactive"})
        world.run_executions()
    (job,) = world.source().claim(1)[0] if moment == "under way" else (None,)
    world.bell.rings.clear()
    before = {row.id for row in world.sql("SELECT id FROM hub.message")}
    assert world.call("POST", f"/executions/{execution}/cancel").status_code == 200
    assert world.bell.rings == [(TaskName.DELIVERIES_SEND, [])]
    if job is not None:
        # The worker's own end comes too late, and is not told.
        world.source().record([(job, Stopped(State.FAILED, "invalid_input", "It is wrong."))])()
    assert world.call("POST", f"/executions/{execution}/cancel").status_code == 409
    told = {row.type: row.data for row in world.sql("SELECT id, type, data::json AS data FROM hub.message") if row.id not in before}  # fmt: skip
    assert set(told) == {"over", "execution.cancelled"}
    assert told["over"] == {"execution": execution, "state": "cancelled", "event": {"data": {"total": 5}}}
    facts = {"execution": execution, "state": "cancelled", "reason": "cancelled", "operation": "make_user"}
    assert {**told["execution.cancelled"], **facts} == told["execution.cancelled"]


def test_a_sample_tells_what_would_happen(flows: Flows, provider: Provider) -> None:
    made = flows.create(flows.world.create(provider.url)["id"], filter={"data.total": {"$gt": 1}})
    path = f"/flows/{made['id']}/test"
    good = flows.world.call("POST", path, json={"type": "order.paid", "data": {"total": 2}}).json()
    assert (good["starts"], good["would_call"], good["input"]) == (True, True, {"body": {"total": 2}})
    assert good["links"][-1]["link"] == "authenticate"
    bad = flows.world.call("POST", path, json={"type": "order.paid", "data": {"total": 1}}).json()
    assert (bad["starts"], bad["why_not"], bad["would_call"]) == (False, "filter", False)
    assert not provider.calls
    assert flows.executions() == []


def test_a_sample_tells_of_a_flow_that_never_starts(flows: Flows, provider: Provider) -> None:
    world = flows.world
    integration = world.create(provider.url)["id"]
    made = flows.create(integration, event_types=["*"])
    path = f"/flows/{made['id']}"

    def tried(event_type: str = "order.paid") -> tuple[bool, str | None, bool]:
        shown = world.call("POST", f"{path}/test", json={"type": event_type, "data": {}}).json()
        return shown["starts"], shown["why_not"], shown["would_call"]

    assert tried() == (True, None, True)
    assert tried("message.sent") == (True, None, True)
    for own in ("execution.failed", "integration.alert", "message.exhausted"):
        assert tried(own) == (False, "event_types", False)
    world.call("PATCH", path, json={"paused": True})
    assert tried() == (False, "pause", False)
    world.call("PATCH", path, json={"paused": False})
    world.call("PATCH", f"/integrations/{integration}", json={"access": {"roles": ["billing"]}})
    assert tried() == (False, "access_rules", False)


def test_the_hubs_own_events_are_refused_as_what_starts_a_flow(flows: Flows, provider: Provider) -> None:
    integration = flows.world.create(provider.url)["id"]
    made = flows.create(integration, event_types=["*", "executions.*", "message.*", "integration.created"])
    own = ["execution.failed", "execution.*", "endpoint.disabled", "integration.needs_reauth"]
    answer = flows.world.call("PATCH", f"/flows/{made['id']}", json={"event_types": ["order.*", *own]})
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [f"event_types.{n}" for n in range(1, 5)]
    assert "operations" in answer.json()["errors"][0]["message"]


def test_every_fault_is_named_at_once_and_nothing_is_saved(flows: Flows, provider: Provider) -> None:
    integration = flows.world.create(provider.url)["id"]
    answer = flows.world.call(
        "POST",
        "/flows",
        json={
            "name": "flow",
            "event_types": ["no spaces"],
            "filter": {"a": {"$what": 1}},
            "integration": integration,
            "operation": "make_user",
            "mapping": [{"fly": 1}],
            "publish": [{"event_type": "execution.mine"}],
        },
    )
    assert answer.status_code == 422
    assert {error["path"] for error in answer.json()["errors"]} == {
        "event_types.0", "filter.a.$what", "mapping[0].fly", "publish.0.event_type",
    }  # fmt: skip
    missing = flows.world.call(
        "POST",
        "/flows",
        json={"name": "x", "event_types": ["a"], "integration": integration, "operation": "nope"},
    )
    assert [error["path"] for error in missing.json()["errors"]] == ["operation"]
    assert flows.world.call("GET", "/flows").json()["data"] == []


def test_flows_are_their_tenants_own(flows: Flows, provider: Provider) -> None:
    made = flows.create(flows.world.create(provider.url)["id"])
    stranger = flows.world.other_key(tenant="globex")
    assert flows.world.call("GET", f"/flows/{made['id']}", key=stranger).status_code == 404
    assert flows.world.call("DELETE", f"/flows/{made['id']}", key=stranger).status_code == 404
    flows.world.call("POST", "/events", json={"type": "order.paid", "data": {}}, key=stranger)
    flows.run()
    assert not provider.calls


def replay(flows: Flows, execution: str, status: int = 202, **changes: Any) -> Any:
    answer = flows.world.call("POST", f"/executions/{execution}/replay", json=changes)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_an_execution_of_a_flow_is_made_again_as_the_flow_made_it(flows: Flows, provider: Provider) -> None:
    provider.script = [Answer(status=404)]
    publish = [{"on": "ended", "event_type": "over", "mapping": [{"pick": ["state", "event.data.name"]}]}]
    made = flows.create(flows.world.create(provider.url)["id"], publish=publish)
    event = flows.publish(data={"name": "Ada", "n": 123456789012345678901234567890})
    flows.run()
    (first,) = flows.executions()
    # What the flow is by now does not matter: its mapping is that of the execution.
    flows.world.call("PATCH", f"/flows/{made['id']}", json={"mapping": [{"pick": ["nothing"]}]})
    again = replay(flows, first["id"])["id"]
    flows.run()
    detail = flows.world.read(again)
    assert (detail["state"], detail["source"], detail["replay_of"]) == ("done", "replay", first["id"])
    assert (detail["flow"], detail["event"], detail["input"]["type"]) == (made["id"], event, "order.paid")
    assert [call.body for call in provider.calls] == [
        b'{"name":"Ada","n":123456789012345678901234567890}'
    ] * 2
    assert {row.depth for row in flows.world.sql("SELECT depth FROM hub.execution")} == {1}
    told = [
        row.data for row in flows.world.sql("SELECT data::json AS data FROM hub.message WHERE type = 'over'")
    ]
    assert sorted(one["state"] for one in told) == ["done", "failed"]
    assert {one["event"]["data"]["name"] for one in told} == {"Ada"}


def test_with_another_input_it_is_the_operation_alone(flows: Flows, provider: Provider) -> None:
    flows.create(flows.world.create(provider.url)["id"], publish=[{"on": "ended", "event_type": "over"}])
    flows.publish()
    flows.run()
    (first,) = flows.executions()
    again = replay(flows, first["id"], input={"body": {"name": "Eve"}})["id"]
    # What it takes is judged at the door, for there is nothing that would change it.
    assert replay(flows, first["id"], 422, input={"colour": 1})["errors"][0]["path"] == "input.colour"
    assert replay(flows, first["id"], 422, operation="nothing")["errors"][0]["path"] == "operation"
    flows.run()
    detail = flows.world.read(again)
    assert (detail["flow"], detail["event"], detail["input"]) == (None, None, {"body": {"name": "Eve"}})
    assert provider.calls[-1].body == b'{"name":"Eve"}'
    assert flows.world.sql("SELECT count(*) FROM hub.message WHERE type = 'over'")[0][0] == 1


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
def test_what_masks_hide_in_an_input_is_not_kept_in_its_event(
    flows: Flows, provider: Provider, end: str
) -> None:
    card = "4111-1111-1111-1111"
    integration = flows.world.create(provider.url, data_policy={"redact": ["input.body.card"]})
    flows.create(integration["id"], mapping=[{"rename": {"data": "body"}}, {"pick": ["body"]}])
    provider.script = [Answer(status=200 if end == "done" else 404)]
    flows.publish(data={"card": card})
    flows.source.claim(100)
    (execution,) = (one["id"] for one in flows.executions())
    if end == "cancelled":
        assert flows.world.call("POST", f"/executions/{execution}/cancel").status_code == 200
    flows.run()
    detail = flows.world.read(execution)
    assert (detail["state"], detail["input"]) == (end, "***")
    assert card not in str(flows.world.sql("SELECT to_jsonb(t)::text FROM hub.execution t"))
    refused = replay(flows, execution, 422)
    assert [error["path"] for error in refused["errors"]] == ["input"]
    assert "the event that started the execution was not kept" in refused["detail"]
    again = replay(flows, execution, input={"body": {"card": card}})["id"]
    flows.run()
    assert flows.world.read(again)["input"] == {"body": {"card": "***"}}


def test_what_a_flow_made_of_an_event_is_shown_as_it_was_sent(flows: Flows, provider: Provider) -> None:
    flows.create(flows.world.create(provider.url)["id"])
    flows.publish(data={"name": "Ada"})
    flows.run()
    (execution,) = flows.executions()
    assert flows.world.read(execution["id"])["request"]["payload"] == {"name": "Ada"}


def test_the_time_of_a_flows_mapping_is_part_of_the_transformation(flows: Flows, provider: Provider) -> None:
    # In a child, so that it takes a while.
    flows.create(flows.world.create(provider.url)["id"], mapping=[{"jsonata": '{"body": data}'}])
    flows.publish()
    flows.run()
    (execution,) = flows.executions()
    metrics = flows.world.read(execution["id"])["metrics"]
    others = sum(metrics["links"][name] for name in ("request_transform", "response_transform"))
    assert metrics["transformation_ms"] == pytest.approx(metrics["links"]["flow"] + others, abs=0.002)
    assert metrics["transformation_ms"] > others
