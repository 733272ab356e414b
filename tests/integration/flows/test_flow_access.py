"""Flows act for the key that made them: what the integration's access rules do not let it do, they do not."""

from __future__ import annotations

from typing import Any

import pytest

from hub.access.issuing import issue_key
from hub.access.scopes import Scope
from hub.core.ids import Kind, format_id
from tests.integration.flows.test_flows import Flows
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World


@pytest.fixture
def flows(world: World) -> Flows:
    return Flows(world)


def new_key(world: World, *roles: str) -> tuple[str, str]:
    """Id and text of a key that may make flows."""
    with world.engine.begin() as conn:
        row, token = issue_key(conn, world.tenant_id, "some", [Scope.ADMIN], roles=list(roles))
    return format_id(Kind.API_KEY, row.id), token.reveal()


def body(integration: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": "flow", "event_types": ["order.paid"], "integration": integration, "operation": "make_user",
        "mapping": [{"rename": {"data": "body"}}, {"pick": ["body"]}], **fields,
    }  # fmt: skip


def refusals(world: World) -> list[dict[str, Any]]:
    answer = world.call("GET", "/audit", params={"action": "execution.refused"})
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def test_who_may_not_call_an_integration_makes_no_flow_to_it(flows: Flows, provider: Provider) -> None:
    world = flows.world
    made = world.create(provider.url, access={"roles": ["billing"]})
    open_one = world.create(provider.url, name="open")
    _, billing = new_key(world, "billing")
    sales_id, sales = new_key(world, "sales")
    refused = world.call("POST", "/flows", key=sales, json=body(made["id"]))
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/refused")
    (entry,) = refusals(world)
    assert (entry["actor"], entry["subject"]) == (sales_id, made["id"])
    assert (entry["details"]["source"], entry["details"]["operations"]) == ("flow", ["make_user"])
    assert world.call("GET", "/flows").json()["data"] == []

    flow = world.call("POST", "/flows", key=billing, json=body(made["id"])).json()
    other = world.call("POST", "/flows", key=sales, json=body(open_one["id"], name="other")).json()
    # Nor does a change get there: of what is called, or of what is sent there in another's name.
    for path, change in (
        (other["id"], {"integration": made["id"]}),
        (flow["id"], {"operation": "get_user"}),
        (flow["id"], {"mapping": []}),
        (flow["id"], {"event_types": ["*"]}),
        (flow["id"], {"filter": None}),
        (flow["id"], {"publish": []}),
    ):
        assert world.call("PATCH", f"/flows/{path}", key=sales, json=change).status_code == 403, change
        assert world.call("GET", f"/flows/{path}").json()["version"] == 1
    assert len(refusals(world)) == 7
    assert world.call("PATCH", f"/flows/{flow['id']}", key=sales, json={"paused": True}).status_code == 200
    assert world.call("PATCH", f"/flows/{flow['id']}", key=billing, json={"mapping": []}).status_code == 200


def test_a_flow_of_an_operation_that_is_not_allowed_is_refused(flows: Flows, provider: Provider) -> None:
    world = flows.world
    made = world.create(provider.url, access={"allowed_operations": ["get_*"]})
    answer = world.call("POST", "/flows", json=body(made["id"]))
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"path": "operation", "message": "the integration does not allow this operation"}
    ]
    flow = flows.create(made["id"], operation="get_user")
    assert world.call("PATCH", f"/flows/{flow['id']}", json={"operation": "make_user"}).status_code == 422


def test_rules_that_change_stop_the_flow_and_the_audit_log_tells_once(
    flows: Flows, provider: Provider
) -> None:
    world = flows.world
    made = world.create(provider.url)
    sales_id, sales = new_key(world, "sales")
    flow = world.call("POST", "/flows", key=sales, json=body(made["id"])).json()
    flows.publish()
    flows.run()
    assert len(provider.calls) == 1
    path = f"/integrations/{made['id']}"
    assert world.call("PATCH", path, json={"access": {"roles": ["billing"]}}).status_code == 200
    events = [flows.publish() for _ in range(3)]
    flows.run()
    later = flows.publish()
    flows.run()
    assert len(provider.calls) == 1
    assert len(flows.executions()) == 1
    (entry,) = refusals(world)
    assert (entry["actor"], entry["subject"]) == (sales_id, made["id"])
    assert entry["details"]["flow"] == flow["id"]
    assert entry["details"]["event"] in events
    assert later not in str(entry)
    assert world.call("GET", f"/events/{later}").json()["reason"] == "no_endpoint"
    # By a role of the key, and by the key itself.
    for access in ({"roles": ["sales"]}, {"api_keys": [sales_id]}):
        assert world.call("PATCH", path, json={"access": access}).status_code == 200
        flows.publish()
        flows.run()
    assert len(provider.calls) == 3
    assert len(refusals(world)) == 1


def test_rules_that_cannot_be_read_stop_their_own_flows_alone(
    flows: Flows, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    world = flows.world
    flows.create(world.create(provider.url, name="spoilt")["id"], name="spoilt")
    flows.create(world.create(provider.url)["id"])
    world.sql("UPDATE hub.integration SET access = '{\"roles\": 7}' WHERE name = 'spoilt'")
    flows.publish()
    flows.run()
    assert len(provider.calls) == 1
    assert "cannot be read" in caplog.text
