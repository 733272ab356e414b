"""Who may call what, at every door, and what the audit log tells of it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from hub.access.issuing import issue_key
from hub.access.scopes import Scope
from hub.core.ids import Kind, format_id
from hub.integrations.executions.accepting import NotAllowed, Refused
from hub.integrations.executions.celery_door import accept_from_celery
from hub.integrations.executions.starting import start_due
from hub.queue.contracts import SubmitExecution
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World

GIVEN = {"operation": "get_user", "input": {"path": {"id": 7}}}


def new_key(world: World, *roles: str) -> tuple[str, str]:
    """Id and text of a key that may execute."""
    scopes = [Scope.EXECUTIONS_WRITE, Scope.EXECUTIONS_READ, Scope.INTEGRATIONS_READ]
    with world.engine.begin() as conn:
        row, token = issue_key(conn, world.tenant_id, "some", scopes, roles=list(roles))
    return format_id(Kind.API_KEY, row.id), token.reveal()


def restrict(world: World, made: dict[str, Any], **access: Any) -> None:
    answer = world.call("PATCH", f"/integrations/{made['id']}", json={"access": access})
    assert answer.status_code == 200, answer.text


def audit(world: World, **query: str) -> list[dict[str, Any]]:
    answer = world.call("GET", "/audit", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def test_a_key_a_role_or_a_user_lets_in_and_everybody_else_is_refused_and_noted(
    world: World, provider: Provider
) -> None:
    made = world.create(provider.url)
    path = f"/integrations/{made['id']}"
    named, its_key = new_key(world)
    _, with_role = new_key(world, "billing", "other")
    stranger_id, stranger = new_key(world, "sales")
    # Ids are the same in any case.
    restrict(
        world, made, api_keys=["key_" + named.removeprefix("key_").upper()], roles=["billing"], users=["ann"]
    )

    def ask(key: str, **more: Any) -> int:
        return world.call("POST", f"{path}/execute", key=key, json={**GIVEN, **more}).status_code

    assert [ask(its_key), ask(with_role), ask(stranger, user="ann")] == [202, 202, 202]
    assert [ask(stranger), ask(stranger, user="bob"), ask(world.key)] == [403, 403, 403]
    refused = world.call("POST", f"{path}/execute", key=stranger, json={**GIVEN, "user": "bob"})
    assert refused.json()["type"] == "/problems/refused"
    items = {"items": [{**GIVEN, "user": "ann"}, GIVEN]}
    assert world.call("POST", f"{path}/execute-batch", key=stranger, json=items).status_code == 403
    assert world.call("POST", f"{path}/dry-run", key=stranger, json=GIVEN).status_code == 403
    assert world.call("POST", f"{path}/dry-run", key=its_key, json=GIVEN).status_code == 200
    assert world.sql("SELECT count(*) FROM hub.execution")[0][0] == 3

    entries = audit(world, action="execution.refused")
    assert len(entries) == 5
    assert {one["subject"] for one in entries} == {made["id"]}
    latest = entries[0]
    assert latest["actor"] == stranger_id
    assert (latest["details"]["operations"], latest["details"]["source"]) == (["get_user"], "http")
    assert entries[1]["details"]["user"] == "bob"
    assert "neither this API key nor its roles nor this user" in latest["details"]["why"]


@pytest.mark.parametrize("door", ["execute", "execute-batch", "replay"])
def test_idempotency_keys_are_each_callers_own(world: World, provider: Provider, door: str) -> None:
    made = world.create(provider.url)
    named, its_key = new_key(world)
    _, stranger = new_key(world)
    restrict(world, made, api_keys=[named])
    path, body = (
        f"/integrations/{made['id']}/{door}",
        {"items": [GIVEN]} if door == "execute-batch" else GIVEN,
    )
    if door == "replay":
        first = world.call("POST", f"/integrations/{made['id']}/execute", key=its_key, json=GIVEN).json()[
            "id"
        ]
        path, body = f"/executions/{first}/replay", {}

    def ask(key: str) -> Any:
        return world.call("POST", path, key=key, json=body, headers={"Idempotency-Key": "order-1"})

    accepted = ask(its_key)
    assert accepted.status_code == 202
    refused = ask(stranger)
    assert (refused.status_code, accepted.json()["id"] in refused.text) == (403, False)
    again = ask(its_key)
    assert (again.json(), again.headers["idempotency-replayed"]) == (accepted.json(), "true")
    # Who is let in asks for something of their own.
    restrict(world, made)
    other = ask(stranger)
    assert other.status_code == 202
    assert other.json()["id"] != accepted.json()["id"]
    assert ask(stranger).json() == other.json()


def test_a_replay_is_judged_by_todays_rules(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    _, stranger = new_key(world)
    answer = world.call("POST", f"/integrations/{made['id']}/execute", key=stranger, json=GIVEN)
    execution = answer.json()["id"]
    world.run_executions()
    restrict(world, made, users=["ann"])
    assert world.call("POST", f"/executions/{execution}/replay", key=stranger).status_code == 403
    assert audit(world, action="execution.refused")[0]["details"]["source"] == "replay"


def test_operations_are_allowed_by_name_or_by_their_beginning(world: World, provider: Provider) -> None:
    operations = {name: {"path": "/x"} for name in ("get_a", "get_b", "list", "lists")}
    made = world.create(provider.url, operations=operations, access={"allowed_operations": ["get_*", "list"]})
    path = f"/integrations/{made['id']}"
    for operation, status in (
        ("get_a", 202),
        ("get_b", 202),
        ("list", 202),
        ("lists", 422),
        ("request", 422),
    ):
        answer = world.call("POST", f"{path}/execute", json={"operation": operation})
        assert answer.status_code == status, operation
    assert answer.json()["errors"] == [
        {"path": "operation", "message": "the integration does not allow this operation"}
    ]
    items = {"items": [{"operation": "get_a"}, {"operation": "lists"}]}
    assert world.call("POST", f"{path}/execute-batch", json=items).status_code == 422
    schedule = {"name": "s", "operation": "lists", "every_seconds": 60}
    assert world.call("POST", f"{path}/schedules", json=schedule).status_code == 422
    entries = audit(world, action="execution.refused")
    assert [(one["details"]["source"], one["details"]["operations"]) for one in entries] == [
        ("schedule", ["lists"]), ("http", ["get_a", "lists"]), ("http", ["request"]), ("http", ["lists"]),
    ]  # fmt: skip
    assert {one["details"]["why"] for one in entries} == {"the integration does not allow this operation"}
    # An input that does not fit is a mistake, and no refusal.
    wrong = {"operation": "get_a", "input": {"colour": 1}}
    assert world.call("POST", f"{path}/execute", json=wrong).status_code == 422
    assert len(audit(world, action="execution.refused")) == 4
    # Nobody at all, and what is asked for by a row that is there already.
    world.call("PATCH", path, json={"access": {"allowed_operations": []}})
    assert world.call("POST", f"{path}/execute", json={"operation": "get_a"}).status_code == 422
    world.run_executions()
    rows = world.sql("SELECT DISTINCT state, reason, attempt FROM hub.execution")
    assert [tuple(row) for row in rows] == [("failed", "operation_not_allowed", 0)]
    assert not provider.calls
    noted = audit(world, action="execution.refused")[:-4]
    asked = [(one["details"]["source"], one["details"]["operations"]) for one in noted]
    assert sorted(asked) == [
        ("http", ["get_a"]),
        ("worker", ["get_a"]),
        ("worker", ["get_b"]),
        ("worker", ["list"]),
    ]


def test_the_celery_door_knows_users_only_and_is_audited(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    restrict(world, made, users=["ann"])
    payload = SubmitExecution(
        tenant=format_id(Kind.TENANT, world.tenant_id),
        idempotency_key="k1",
        integration=made["id"],
        operation="get_user",
        input={"path": {"id": 5}},
    )
    with pytest.raises(Refused):
        accept_from_celery(world.engine, world.doors, payload)
    (entry,) = audit(world, action="execution.refused")
    assert (entry["actor"], entry["subject"], entry["details"]["source"]) == (None, made["id"], "celery")
    not_allowed = payload.model_copy(update={"user": "ann", "operation": "make_user"})
    restrict(world, made, users=["ann"], allowed_operations=["get_*"])
    with pytest.raises(NotAllowed):
        accept_from_celery(world.engine, world.doors, not_allowed)
    assert audit(world, action="execution.refused")[0]["details"]["operations"] == ["make_user"]
    # The key was not used up by the refusal.
    _, fresh = accept_from_celery(world.engine, world.doors, payload.model_copy(update={"user": "ann"}))
    assert fresh is True


def test_the_sql_door_names_nobody(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    tenant = format_id(Kind.TENANT, world.tenant_id)
    statement = "SELECT hub.execute_integration(:tenant, :integration, 'get_user', '{\"path\": {\"id\": 1}}')"
    assert world.sql(statement, tenant=tenant, integration=made["id"])
    restrict(world, made, users=["ann"])
    with pytest.raises(DBAPIError, match="allow only some callers"):
        world.sql(statement, tenant=tenant, integration=made["id"])
    assert world.sql("SELECT count(*) FROM hub.execution")[0][0] == 1
    # What allows no operation is found out by the worker.
    restrict(world, made, allowed_operations=["make_*"])
    asked = [world.sql(statement, tenant=tenant, integration=made["id"])[0][0] for _ in range(25)]
    world.run_executions()
    assert not provider.calls
    entries = audit(world, action="execution.refused")
    assert {(one["actor"], one["subject"], one["details"]["why"]) for one in entries} == {
        (None, made["id"], "The integration does not allow this operation.")
    }
    # Of many refusals at once, one entry tells.
    assert sum(one["details"]["count"] for one in entries) == 26
    assert len(entries) < 26
    assert all(len(one["details"]["executions"]) <= 20 for one in entries)
    assert {name for one in entries for name in one["details"]["executions"]} & set(asked)


def test_a_schedule_is_judged_when_it_is_made_and_at_every_start(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    path = f"/integrations/{made['id']}/schedules"
    key_id, key = new_key(world, "billing")
    schedule = {"name": "s", **GIVEN, "every_seconds": 60}
    restrict(world, made, users=["ann"])
    assert world.call("POST", path, key=key, json=schedule).status_code == 403
    assert audit(world, action="execution.refused")[0]["details"]["source"] == "schedule"
    restrict(world, made, roles=["billing"])
    created = world.call("POST", path, key=key, json=schedule)
    assert created.status_code == 201, created.text

    def start() -> list[str]:
        world.sql("UPDATE hub.execution_schedule SET next_at = now()")
        with world.engine.begin() as conn:
            return start_due(conn)

    assert len(start()) == 1
    world.run_executions()
    restrict(world, made, users=["ann"])
    assert start() == []
    entry = audit(world, action="execution.refused")[0]
    assert (entry["actor"], entry["details"]["schedule"]) == (key_id, created.json()["id"])
    # It goes on, and starts again once it may.
    restrict(world, made, api_keys=[key_id])
    assert len(start()) == 1


def test_a_test_is_a_real_call_and_is_noted(world: World, provider: Provider) -> None:
    made = world.create(provider.url, access={"allowed_operations": ["get_*"]})
    path = f"/integrations/{made['id']}/test"
    me = world.call("GET", "/me").json()["key_id"]
    given = {"operation": "get_user", "input": {"path": {"id": 7}}}
    assert world.call("POST", path, json=given).status_code == 200
    provider.default = lambda _call: Answer(status=404)
    assert world.call("POST", path, json=given).json()["ok"] is False
    assert world.call("POST", path, json={"operation": "make_user"}).status_code == 409
    entries = audit(world, subject=made["id"])[:-1]
    assert [(one["actor"], one["action"], one["details"]) for one in reversed(entries)] == [
        (me, "integration.tested", {"operation": "get_user", "ok": True, "status": 200}),
        (me, "integration.tested", {"operation": "get_user", "ok": False, "status": 404}),
        (me, "execution.refused", {
            "source": "test", "operations": ["make_user"],
            "why": "The integration does not allow this operation.",
        }),
    ]  # fmt: skip
    # What no call came of is no call.
    wrong = {"operation": "get_user", "input": {"colour": 1}}
    assert world.call("POST", path, json=wrong).status_code == 422
    assert len(audit(world, subject=made["id"])) == 4


def test_the_audit_log_is_for_administrators_of_its_tenant(world: World, provider: Provider) -> None:
    made = world.create(provider.url, auth={"mode": "bearer", "token": "a-secret-token"})
    world.call("PATCH", f"/integrations/{made['id']}", json={"tags": ["a"], "timeout_seconds": 5})
    world.call("DELETE", f"/integrations/{made['id']}")
    entries = audit(world, subject=made["id"])
    assert [one["action"] for one in entries] == [
        "integration.deleted", "integration.changed", "integration.created",
    ]  # fmt: skip
    assert entries[1]["details"] == {"version": 2, "changed": ["tags", "timeout_seconds"], "secrets": []}
    me = world.call("GET", "/me").json()["key_id"]
    assert {one["actor"] for one in entries} == {me}
    first = world.call("GET", "/audit", params={"limit": 1}).json()
    rest = world.call("GET", "/audit", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in first["data"] + rest["data"]] == [one["id"] for one in entries]
    assert world.call("GET", "/audit", key=new_key(world)[1]).status_code == 403
    assert world.call("GET", "/audit", key=world.other_key(tenant="globex")).json()["data"] == []
    for bad in ({"subject": "a\0b"}, {"action": "\0"}):
        assert world.call("GET", "/audit", params=bad).status_code == 400
