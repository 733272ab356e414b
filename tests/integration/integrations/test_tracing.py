"""One trace from the caller to the service (W3C Trace Context)."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core.ids import Kind, format_id
from hub.integrations.executions.celery_door import accept_from_celery
from hub.queue.contracts import SubmitExecution
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-00"
GIVEN = {"operation": "get_user", "input": {"path": {"id": 7}}}


def execute(world: World, made: dict[str, Any], traceparent: str | None) -> dict[str, Any]:
    headers = {} if traceparent is None else {"traceparent": traceparent}
    answer = world.call("POST", f"/integrations/{made['id']}/execute", json=GIVEN, headers=headers)
    assert answer.status_code == 202
    world.run_executions()
    return world.read(answer.json()["id"])


def test_the_callers_trace_goes_on_to_the_service(world: World, provider: Provider) -> None:
    made = world.create(provider.url, auth={"mode": "bearer", "token": "a-secret-token"})
    detail = execute(world, made, PARENT)
    assert detail["trace_id"] == TRACE
    version, trace, span, flags = provider.calls[0].headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "00")
    assert span != "00f067aa0ba902b7"
    assert provider.calls[0].headers["authorization"] == "Bearer a-secret-token"


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "",
        "x",
        PARENT.upper(),
        PARENT.replace(TRACE, "0" * 32),
        f"ff{PARENT[2:]}",
        PARENT + "-x",
        PARENT[:-1],
    ],
    ids=str,
)
def test_what_is_no_trace_begins_a_new_one(world: World, provider: Provider, bad: str | None) -> None:
    detail = execute(world, world.create(provider.url), bad)
    sent = provider.calls[0].headers["traceparent"]
    assert sent.split("-")[1] == detail["trace_id"] != TRACE
    assert len(sent) == 55


def test_every_attempt_and_every_door_has_its_trace(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    provider.script = [Answer(503)]
    detail = execute(world, made, PARENT)
    world.everything_due()
    world.run_executions()
    assert {call.headers["traceparent"].split("-")[1] for call in provider.calls} == {TRACE}
    replayed = world.call("POST", f"/executions/{detail['id']}/replay").json()["id"]
    assert world.read(replayed)["trace_id"] == TRACE

    tenant = format_id(Kind.TENANT, world.tenant_id)
    payload = SubmitExecution(
        tenant=tenant,
        idempotency_key="k",
        integration=made["id"],
        operation="get_user",
        input={"path": {"id": 1}},
        traceparent=PARENT,
    )
    celery, _ = accept_from_celery(world.engine, world.doors, payload)
    assert world.read(format_id(Kind.EXECUTION, celery))["trace_id"] == TRACE
    statement = "SELECT hub.execute_integration(:t, :i, 'get_user', '{\"path\": {\"id\": 1}}') AS id"
    by_sql = world.read(world.sql(statement, t=tenant, i=made["id"])[0].id)
    assert by_sql["trace_id"] not in {None, TRACE}
    world.run_executions()
    assert by_sql["trace_id"] in {call.headers["traceparent"].split("-")[1] for call in provider.calls}


def test_a_callers_own_header_is_not_overwritten(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    given = {"operation": "get_user", "input": {"path": {"id": 7}, "headers": {"traceparent": PARENT}}}
    world.call("POST", f"/integrations/{made['id']}/execute", json=given)
    world.run_executions()
    assert provider.calls[0].headers["traceparent"] == PARENT
