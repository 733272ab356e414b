from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from hub.access.store import bump_config_version
from hub.core.errors import HubError, Invalid
from hub.core.ids import Kind, format_id, parse_id, time_of
from hub.db.states import State
from hub.integrations.executions import store
from hub.integrations.executions.celery_door import accept_from_celery
from hub.integrations.executions.store import EXECUTIONS
from hub.integrations.executions.waiting import Waiters
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.call import Stopped
from hub.integrations.pipeline.chain import Made
from hub.net.outcome import ErrorClass, Outcome
from hub.queue.contracts import SubmitExecution, TaskName
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import Pumping, World
from tests.support.waiting import until


@contextmanager
def recorded(engine: Engine) -> Iterator[list[str]]:
    """The statements that run inside."""
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(" ".join(statement.split()))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def nested(depth: int) -> Any:
    """An array in an array, so many of them."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def seconds_until(text: str | None) -> float:
    assert text is not None
    return (datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()


def wait_of(detail: dict[str, Any]) -> float:
    """Seconds from the end of an execution's last attempt to its next one."""
    ended = time_of(parse_id(Kind.ATTEMPT, detail["attempt_log"][-1]["id"]))
    return (datetime.fromisoformat(detail["next_attempt_at"]) - ended).total_seconds()


def test_an_execution_is_accepted_made_and_shown_with_its_attempt(world: World, provider: Provider) -> None:
    made = world.create(provider.url + "/v2/", headers={"X-App": "hub"})
    answer = world.call(
        "POST",
        f"/integrations/{made['id']}/execute",
        json={
            "operation": "get_user",
            "input": {
                "path": {"id": "a/b?c"},
                "query": {"q": "ü", "n": [1, 2]},
                "headers": {"X-App": "mine"},
            },
        },
    )
    assert answer.status_code == 202
    execution = answer.json()["id"]
    assert answer.headers["location"] == f"/v1/executions/{execution}"
    assert world.bell.rings == [(TaskName.EXECUTIONS_RUN, [execution])]

    report = world.run_executions()
    assert (report.claimed, report.recorded) == (1, 1)
    (call,) = provider.calls
    assert (call.method, call.path) == ("GET", "/v2/users/a%2Fb%3Fc")
    assert call.query == {"q": ["ü"], "n": ["1", "2"]}
    assert call.headers["x-app"] == "mine"

    detail = world.read(execution)
    assert (detail["state"], detail["status"], detail["attempts"]) == ("done", 200, 1)
    assert detail["result"]["data"] == {"ok": True}
    assert detail["result"]["encoding"] == "json"
    assert detail["error"] is None
    assert detail["metrics"]["latency_ms"] > 0
    assert detail["metrics"]["data_size"] == 11
    (attempt,) = detail["attempt_log"]
    assert (attempt["number"], attempt["outcome"], attempt["status"]) == (1, "succeeded", 200)
    assert attempt["peer"] == "127.0.0.1"


def test_bodies_go_out_as_they_are_meant(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    world.execute(made["id"], "make_user", body={"name": "Zoë", "n": 123456789012345678901234567890})
    world.execute(
        made["id"],
        "request",
        method="PUT",
        path="/raw",
        body="a=b",
        headers={"Content-Type": "text/plain"},
    )
    world.execute(
        made["id"],
        "request",
        method="POST",
        path="/form",
        body={"a": [1, 2], "b": "x y"},
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    world.run_executions(capacity=1)
    sent = {call.path: call for call in provider.calls}
    assert sent["/users"].body.decode() == '{"name":"Zoë","n":123456789012345678901234567890}'
    assert sent["/users"].headers["content-type"] == "application/json"
    assert sent["/raw"].body == b"a=b"
    assert sent["/form"].body == b"a=1&a=2&b=x+y"


def test_answers_that_are_no_text_are_kept_as_base64(world: World, provider: Provider) -> None:
    provider.script = [
        Answer(200, b"\xff\x00", {}),
        Answer(200, b"plain\0", {}),
        Answer(200, b"caf\xc3\xa9", {}),
    ]
    made = world.create(provider.url)
    ids = [world.execute(made["id"]) for _ in range(3)]
    world.run_executions(capacity=1)
    results = [world.read(one)["result"] for one in ids]
    assert [(result["encoding"], result["data"]) for result in results] == [
        ("base64", "/wA="),
        ("base64", "cGxhaW4A"),
        ("text", "café"),
    ]


def test_a_temporary_failure_is_retried_later_and_every_attempt_stays_visible(
    world: World, provider: Provider
) -> None:
    provider.script = [Answer(503, b"later"), Answer(500, b"boom")]
    made = world.create(provider.url, retry_policy={"base_seconds": 30})
    execution = world.execute(made["id"])
    world.run_executions()
    waiting = world.read(execution)
    assert waiting["state"] == "due"
    assert 25 < wait_of(waiting) <= 34
    world.run_executions()
    assert len(provider.calls) == 1
    world.everything_due()
    world.run_executions()
    assert 50 < wait_of(world.read(execution)) <= 67
    world.everything_due()
    world.run_executions()
    detail = world.read(execution)
    assert (detail["state"], detail["metrics"]["retry_count"]) == ("done", 2)
    assert [(one["number"], one["status"], one["outcome"]) for one in detail["attempt_log"]] == [
        (1, 503, "failed"),
        (2, 500, "failed"),
        (3, 200, "succeeded"),
    ]
    assert [one["response_body"] for one in detail["attempt_log"]] == ["later", "boom", None]


def test_retries_come_to_an_end(world: World, provider: Provider) -> None:
    provider.default = lambda _call: Answer(502, b"bad")
    made = world.create(provider.url, retry_policy={"max_retries": 1})
    execution = world.execute(made["id"])
    for _ in range(3):
        world.run_executions()
        world.everything_due()
    detail = world.read(execution)
    assert (detail["state"], detail["reason"], len(provider.calls)) == ("failed", "exhausted", 2)
    assert detail["error"] == {
        "type": "http_5xx",
        "message": "The answer was status 502.",
        "recoverable": True,
        "request_id": None,
    }
    assert detail["result"]["data"] == "bad"


@pytest.mark.parametrize("operation", ["get_user", "make_user"])
def test_retry_after_is_honoured_also_for_what_must_not_be_repeated(
    world: World, provider: Provider, operation: str
) -> None:
    provider.script = [Answer(429, b"", {"Retry-After": "120"})]
    made = world.create(provider.url)
    given = {"path": {"id": 1}} if operation == "get_user" else {"body": {}}
    execution = world.execute(made["id"], operation, **given)
    world.run_executions()
    assert 115 < seconds_until(world.read(execution)["next_attempt_at"]) <= 132
    world.everything_due()
    world.run_executions()
    assert world.read(execution)["state"] == "done"


def test_what_must_not_be_repeated_fails_at_once(world: World, provider: Provider) -> None:
    provider.default = lambda _call: Answer(500)
    made = world.create(provider.url)
    execution = world.execute(made["id"], "make_user", body={})
    world.run_executions()
    detail = world.read(execution)
    assert (detail["state"], detail["reason"]) == ("failed", "not_repeatable")
    assert len(provider.calls) == 1


def test_a_refused_connection_is_retried_even_for_a_post(world: World) -> None:
    made = world.create("http://127.0.0.1:9")
    execution = world.execute(made["id"], "make_user", body={})
    world.run_executions()
    detail = world.read(execution)
    assert detail["state"] == "due"
    assert detail["attempt_log"][0]["error_class"] == "connect_refused"


def test_a_call_that_a_vanished_worker_left_behind_is_not_repeated_unless_that_is_harmless(
    world: World, provider: Provider
) -> None:
    made = world.create(provider.url)
    safe = world.execute(made["id"])
    unsafe = world.execute(made["id"], "make_user", body={})
    jobs, _ = world.source("gone").claim(10)
    assert len(jobs) == 2
    world.sql("UPDATE hub.execution SET lease_until = now() - interval '1 second'")
    with world.engine.begin() as conn:
        EXECUTIONS.lapse(conn)
    world.run_executions()
    assert world.read(safe)["state"] == "done"
    failed = world.read(unsafe)
    assert (failed["state"], failed["reason"]) == ("failed", "interrupted")
    assert [call.path for call in provider.calls] == ["/users/7"]
    assert [one["outcome"] for one in world.read(safe)["attempt_log"]] == ["interrupted", "succeeded"]


def test_a_stale_worker_changes_nothing_and_its_attempt_is_late(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    execution = world.execute(made["id"])
    stale = world.source("stale")
    (job,), _ = stale.claim(1)
    world.sql("UPDATE hub.execution SET lease_until = now() - interval '1 second'")
    with world.engine.begin() as conn:
        EXECUTIONS.lapse(conn)
    world.run_executions()
    before = world.read(execution)
    job.started_at = datetime.now(UTC)
    stale.record([(job, None)])()
    after = world.read(execution)
    assert after["state"] == before["state"] == "done"
    assert after["result"] == before["result"]
    assert [one["late"] for one in after["attempt_log"]].count(True) == 1
    assert world.sql("SELECT sum(calls) FROM hub.integration_metric")[0][0] == 1


def test_recording_twice_is_recording_once(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    execution = world.execute(made["id"])
    source = world.source()
    (job,), _ = source.claim(1)
    job.started_at = datetime.now(UTC)
    write = source.record([(job, None)])
    write()
    write()
    assert len(world.read(execution)["attempt_log"]) == 1


def test_a_repeated_request_with_the_same_key_is_one_execution(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    path = f"/integrations/{made['id']}/execute"
    body = {"operation": "get_user", "input": {"path": {"id": 1}}}
    headers = {"Idempotency-Key": "once"}
    first = world.call("POST", path, json=body, headers=headers)
    again = world.call("POST", path, json=body, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    other = world.call("POST", path, json={**body, "input": {"path": {"id": 2}}}, headers=headers)
    assert other.status_code == 422
    assert other.json()["type"] == "/problems/idempotency_key_reused"
    assert world.sql("SELECT count(*) FROM hub.execution")[0][0] == 1
    assert len(world.bell.rings) == 1


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"operation": "nope"}, "operation"),
        ({"operation": "get_user"}, "input.path.id"),
        ({"operation": "get_user", "input": {"path": {"id": ".."}}}, "input.path.id"),
        ({"operation": "get_user", "input": {"path": {"id": 1, "x": 2}}}, "input.path.x"),
        ({"operation": "get_user", "input": {"path": {"id": 1}, "colour": 1}}, "input.colour"),
        (
            {"operation": "get_user", "input": {"path": {"id": 1}, "headers": {"Host": "x"}}},
            "input.headers.Host",
        ),
        ({"operation": "request", "input": {"path": "//x/../y"}}, "input.path"),
        ({"operation": "request", "input": {"method": "CONNECT"}}, "input.method"),
        ({"operation": "get_user", "input": []}, "input"),
        ({"input": {}}, "operation"),
        ({"operation": "get_user", "extra": 1}, "extra"),
    ],
)
def test_a_bad_input_is_told_to_the_caller_and_nothing_is_written(
    world: World, provider: Provider, body: dict[str, Any], path: str
) -> None:
    made = world.create(provider.url)
    answer = world.call("POST", f"/integrations/{made['id']}/execute", json=body)
    assert answer.status_code == 422, answer.text
    assert path in [error["path"] for error in answer.json()["errors"]]
    assert not world.sql("SELECT 1 FROM hub.execution")
    assert not world.bell.rings


def test_a_batch_is_accepted_whole_or_not_at_all(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    path = f"/integrations/{made['id']}/execute-batch"
    items: list[dict[str, Any]] = [
        {"operation": "get_user", "input": {"path": {"id": number}}} for number in range(1000)
    ]
    bad = [*items[:3], {"operation": "nope"}, {"operation": "get_user"}]
    refused = world.call("POST", path, json={"items": bad})
    assert refused.status_code == 422
    assert [error["path"] for error in refused.json()["errors"]] == [
        "items.3.operation",
        "items.4.input.path.id",
    ]
    assert not world.sql("SELECT 1 FROM hub.execution")

    with recorded(world.engine) as statements:
        accepted = world.call("POST", path, json={"items": items}, headers={"Idempotency-Key": "batch"})
    assert accepted.status_code == 202
    ids = [entry["id"] for entry in accepted.json()["data"]]
    assert len(set(ids)) == 1000
    assert len([s for s in statements if "hub.execution" in s]) == 1
    assert len(world.bell.rings) == 1
    again = world.call("POST", path, json={"items": items}, headers={"Idempotency-Key": "batch"})
    assert again.json() == accepted.json()
    assert world.call("POST", path, json={"items": [*items, items[0]]}).status_code == 422

    world.run_executions()
    states = world.sql("SELECT state, count(*) FROM hub.execution GROUP BY state")
    assert [tuple(row) for row in states] == [("done", 1000)]
    assert sorted(call.path for call in provider.calls) == sorted(f"/users/{n}" for n in range(1000))
    assert world.sql("SELECT calls, le_30000 FROM hub.integration_metric") is not None
    assert world.sql("SELECT sum(calls), sum(failed) FROM hub.integration_metric")[0] == (1000, 0)


def test_a_call_costs_a_few_statements_for_many_rows(world: World, provider: Provider) -> None:
    made = world.create(provider.url, timeout_seconds=10)
    items = [{"operation": "get_user", "input": {"path": {"id": number}}} for number in range(64)]
    world.call("POST", f"/integrations/{made['id']}/execute-batch", json={"items": items})
    source = world.source()
    with recorded(world.engine) as statements:
        jobs, more = source.claim(64)
    assert len(jobs) == 64
    assert more
    # Claim, versions, and, this first time, integrations and (none) secrets.
    assert len(statements) == 3
    with recorded(world.engine) as statements:
        source.record([(job, Made(Outcome(500, ErrorClass.HTTP_5XX), True)) for job in jobs[:32]])()
    # Completion, counters.
    assert len(statements) == 2
    with recorded(world.engine) as statements:
        source.record([(job, Made(Outcome(200, None), True)) for job in jobs[32:]])()
    # Completion, results, counters.
    assert len(statements) == 3
    assert world.sql("SELECT sum(calls), sum(failed) FROM hub.integration_metric")[0] == (64, 32)
    world.everything_due()
    with recorded(world.engine) as statements:
        assert len(source.claim(64)[0]) == 32
    assert len(statements) == 2


def test_a_waiting_request_gets_the_result(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    with Pumping(world):
        answer = world.call(
            "POST",
            f"/integrations/{made['id']}/execute",
            json={"operation": "get_user", "input": {"path": {"id": 1}}},
            headers={"Prefer": "respond-async, wait=10"},
        )
    assert answer.status_code == 200
    assert answer.json()["state"] == "done"
    assert answer.json()["result"]["data"] == {"ok": True}
    assert answer.headers["preference-applied"] == "wait=10"
    assert answer.headers["location"].endswith(answer.json()["id"])


def test_a_waiting_request_ends_with_202_when_the_time_is_over(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    begun = time.monotonic()
    answer = world.call(
        "POST",
        f"/integrations/{made['id']}/execute",
        json={"operation": "get_user", "input": {"path": {"id": 1}}},
        headers={"Prefer": "wait=1"},
    )
    assert answer.status_code == 202
    assert 1.0 <= time.monotonic() - begun < 5.0
    assert world.read(answer.json()["id"])["state"] == "due"


def test_many_waiting_requests_share_one_poll(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    answers: list[int] = []

    def ask(number: int) -> None:
        body = {"operation": "get_user", "input": {"path": {"id": number}}}
        headers = {"Prefer": "wait=20"}
        answers.append(
            world.call("POST", f"/integrations/{made['id']}/execute", json=body, headers=headers).status_code
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    with recorded(world.engine) as statements:
        for thread in threads:
            thread.start()
        until(lambda: world.sql("SELECT count(*) FROM hub.execution")[0][0] == 12)
        # Each poll is one statement; several polls with all twelve waiting show that they share it.
        until(lambda: sum("id BETWEEN" in s and "NOT IN" in s for s in statements) > 5)
        with Pumping(world):
            for thread in threads:
                thread.join(20)
    assert answers == [200] * 12


def test_an_inactive_integration_accepts_nothing_and_what_waits_is_held_until_it_is_active(
    world: World, provider: Provider
) -> None:
    made = world.create(provider.url)
    path = f"/integrations/{made['id']}"
    execution = world.execute(made["id"])
    world.call("PATCH", path, json={"status": "inactive"})
    refused = world.call(
        "POST", f"{path}/execute", json={"operation": "get_user", "input": {"path": {"id": 1}}}
    )
    assert refused.status_code == 409
    assert "inactive" in refused.json()["detail"]
    world.run_executions()
    held = world.read(execution)
    assert (held["state"], held["reason"], held["attempts"]) == ("held", "integration_inactive", 0)
    assert not provider.calls
    world.bell.rings.clear()
    world.call("PATCH", path, json={"status": "active"})
    assert [task for task, _ in world.bell.rings] == [TaskName.EXECUTIONS_RUN]
    world.run_executions()
    assert world.read(execution)["state"] == "done"


def test_an_execution_held_while_its_integration_became_active_is_not_forgotten(
    world: World, provider: Provider
) -> None:
    made = world.create(provider.url, status="inactive")
    world.sql("UPDATE hub.integration SET status = 'active'")
    execution = world.execute(made["id"])
    world.sql("UPDATE hub.integration SET status = 'inactive'")
    source = world.source()
    jobs, _ = source.claim(1)
    world.sql("UPDATE hub.integration SET status = 'active'")
    source.record([(jobs[0], Stopped(State.HELD, "integration_inactive", "-"))])()
    assert world.read(execution)["state"] == "due"


def test_a_change_is_honoured_by_the_next_claim(world: World, provider: Provider) -> None:
    made = world.create(provider.url + "/old")
    source = world.source()
    world.execute(made["id"])
    (first,), _ = source.claim(1)
    world.call("PATCH", f"/integrations/{made['id']}", json={"base_url": provider.url + "/new"})
    world.execute(made["id"])
    (second,), _ = source.claim(1)
    assert first.target is not None
    assert second.target is not None
    assert first.target.connection.base_url.endswith("/old")
    assert second.target.connection.base_url.endswith("/new")


def test_an_execution_can_be_cancelled_until_it_is_finished(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    execution = world.execute(made["id"])
    answer = world.call("POST", f"/executions/{execution}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    world.run_executions()
    assert not provider.calls
    again = world.call("POST", f"/executions/{execution}/cancel")
    assert again.status_code == 409
    assert "cancelled already" in again.json()["detail"]


def test_a_cancelled_call_under_way_changes_nothing_any_more(world: World, provider: Provider) -> None:
    gate = threading.Event()
    provider.script = [Answer(gate=gate)]
    made = world.create(provider.url)
    execution = world.execute(made["id"])
    pump = threading.Thread(target=world.run_executions)
    pump.start()
    until(lambda: provider.calls)
    assert world.call("POST", f"/executions/{execution}/cancel").json()["state"] == "cancelled"
    gate.set()
    pump.join(20)
    detail = world.read(execution)
    assert detail["state"] == "cancelled"
    assert detail["result"] is None
    assert [one["late"] for one in detail["attempt_log"]] == [True]


def test_a_worker_that_shuts_down_leaves_nothing_leased(world: World, provider: Provider) -> None:
    gate = threading.Event()
    provider.default = lambda _call: Answer(gate=gate)
    made = world.create(provider.url)
    safe = world.execute(made["id"])
    unsafe = world.execute(made["id"], "make_user", body={})
    stop = threading.Event()
    pump = threading.Thread(target=world.run_executions, kwargs={"stopping": stop.is_set})
    pump.start()
    until(lambda: len(provider.calls) == 2)
    stop.set()
    pump.join(20)
    gate.set()
    assert world.read(safe)["state"] == "due"
    assert (world.read(unsafe)["state"], world.read(unsafe)["reason"]) == ("failed", "interrupted")
    assert world.read(safe)["attempt_log"][0]["outcome"] == "interrupted"


def test_executions_are_listed_by_integration_and_state(world: World, provider: Provider) -> None:
    one, other = world.create(provider.url), world.create(provider.url, name="other")
    done = world.execute(one["id"])
    world.run_executions()
    waiting = world.execute(one["id"])
    elsewhere = world.execute(other["id"])

    def listed(**query: Any) -> list[str]:
        answer = world.call("GET", "/executions", params=query)
        assert answer.status_code == 200, answer.text
        return [entry["id"] for entry in answer.json()["data"]]

    assert listed() == [elsewhere, waiting, done]
    assert listed(integration=one["id"]) == [waiting, done]
    assert listed(integration=one["id"], state="done") == [done]
    assert listed(state="due") == [elsewhere, waiting]
    first = world.call("GET", "/executions", params={"limit": 1}).json()
    assert listed(limit=2, cursor=first["next_cursor"]) == [waiting, done]
    for bad in ({"state": "lost"}, {"integration": "x"}, {"cursor": "x"}, {"limit": 0}):
        assert world.call("GET", "/executions", params=bad).status_code == 422


def test_a_test_call_is_made_at_once_and_recorded_nowhere(world: World, provider: Provider) -> None:
    made = world.create(
        provider.url, status="inactive", health_check={"path": "/health", "expected_statuses": [418]}
    )
    path = f"/integrations/{made['id']}/test"
    provider.script = [Answer(418, b"teapot", {}), Answer(500, b"boom", {})]
    healthy = world.call("POST", path).json()
    assert (healthy["ok"], healthy["status"], healthy["error"]) == (True, 418, None)
    assert provider.calls[-1].path == "/health"
    failed = world.call("POST", path, json={"operation": "get_user", "input": {"path": {"id": 3}}}).json()
    assert (failed["ok"], failed["error"]["type"]) == (False, "http_5xx")
    assert failed["result"]["data"] == "boom"
    assert failed["latency_ms"] > 0
    bad = world.call("POST", path, json={"operation": "get_user"})
    assert bad.status_code == 422
    assert bad.json()["errors"][0]["path"] == "input.path.id"
    assert not world.sql("SELECT 1 FROM hub.execution")
    assert not world.sql("SELECT 1 FROM hub.attempt")
    assert not world.sql("SELECT 1 FROM hub.integration_metric")


def test_the_celery_door_writes_the_same_row_once(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    payload = SubmitExecution(
        tenant=format_id(Kind.TENANT, world.tenant_id),
        idempotency_key="k1",
        integration=made["id"],
        operation="get_user",
        input={"path": {"id": 5}},
    )
    first, fresh = accept_from_celery(world.engine, world.doors, payload)
    again, repeated = accept_from_celery(world.engine, world.doors, payload)
    assert first == again
    assert (fresh, repeated) == (True, False)
    http = world.execute(made["id"], path={"id": 5})
    assert world.read(format_id(Kind.EXECUTION, first))["source"] == "celery"
    columns = "operation, input::text, state, attempt, integration_id, tenant_id"
    rows = world.sql(f"SELECT DISTINCT {columns} FROM hub.execution")
    assert len(rows) == 1
    world.run_executions()
    assert world.read(format_id(Kind.EXECUTION, first))["state"] == "done"
    assert world.read(http)["source"] == "http"


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "ten_" + "0" * 32},
        {"tenant": "acme"},
        {"integration": "int_" + "0" * 32},
        {"integration": "x"},
        {"operation": "nope"},
        {"operation": "get\0user"},
        {"input": {"path": {}}},
        {"input": {"path": {"id": 1}, "headers": {"Host": "x"}}},
        {"idempotency_key": "a\0b"},
        {"user": "a\0b"},
        {"component": "a\0b"},
        {"idempotency_key": "used"},
        {"idempotency_key": "used", "input": {"path": {"id": 6}}, "user": "somebody else"},
    ],
    ids=str,
)
def test_the_celery_door_refuses_what_the_others_refuse(
    world: World, provider: Provider, change: dict[str, Any]
) -> None:
    made = world.create(provider.url)
    good: dict[str, Any] = {
        "tenant": format_id(Kind.TENANT, world.tenant_id),
        "idempotency_key": "k1",
        "integration": made["id"],
        "operation": "get_user",
        "input": {"path": {"id": 5}},
    }
    accept_from_celery(
        world.engine,
        world.doors,
        SubmitExecution(**{**good, "idempotency_key": "used", "input": {"path": {"id": 6}}}),
    )
    with pytest.raises(HubError):
        accept_from_celery(world.engine, world.doors, SubmitExecution(**{**good, **change}))
    assert world.sql("SELECT count(*) FROM hub.execution")[0][0] == 1
    assert world.sql("SELECT count(*) FROM hub.idempotency_key")[0][0] == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("x" * 1_048_576, "over 1048576 bytes"),
        (nested(63), "deeper than 64 levels"),
        (nested(20_000), "deeper than 64 levels"),
        ("a\0b", r"^input\.body contains the character U\+0000"),
        ({"a": ["\ud800"]}, r"^input\.body\.a\.0 contains half of a surrogate pair"),
        (float("inf"), "holds Infinity"),
        (datetime(2026, 1, 1, tzinfo=UTC), "holds a value that JSON does not have"),
    ],
    ids=["large", "deep", "deepest", "U+0000", "half a character", "infinite", "no JSON"],
)
def test_the_celery_door_refuses_a_body_that_http_refuses(
    world: World, provider: Provider, body: Any, reason: str
) -> None:
    made = world.create(provider.url)
    asked: dict[str, Any] = {
        "tenant": format_id(Kind.TENANT, world.tenant_id),
        "idempotency_key": "k1",
        "integration": made["id"],
        "operation": "make_user",
    }
    # Without pydantic's walk through the input: what it would not take never comes here.
    payload = SubmitExecution.model_construct(**asked, input={"body": body})
    with pytest.raises(Invalid, match=reason):
        accept_from_celery(world.engine, world.doors, payload)
    assert not world.sql("SELECT 1 FROM hub.execution")
    for fine in (nested(62), "ж" * 500_000):
        accept_from_celery(
            world.engine,
            world.doors,
            SubmitExecution(**{**asked, "idempotency_key": str(type(fine))}, input={"body": fine}),
        )
    assert world.sql("SELECT count(*) FROM hub.execution")[0][0] == 2


def test_a_row_with_a_bad_input_from_another_door_fails_with_the_reason(
    world: World, provider: Provider
) -> None:
    made = world.create(provider.url)
    execution = world.execute(made["id"])
    world.sql("UPDATE hub.execution SET input = '{\"path\": {}}'")
    world.run_executions()
    detail = world.read(execution)
    assert (detail["state"], detail["reason"], detail["attempts"]) == ("failed", "invalid_input", 0)
    assert "input.path.id" in detail["error"]["message"]


def test_a_fault_of_ours_before_the_call_is_counted_waits_and_ends(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("canary-secret")

    made = world.create(provider.url)
    execution = world.execute(made["id"], "make_user", body={})
    monkeypatch.setattr(chain, "BEFORE", (("load", broken), *chain.BEFORE[1:]))
    assert world.run_executions().claimed == 1
    detail = world.read(execution)
    assert (detail["state"], detail["attempts"], detail["metrics"]["retry_count"]) == ("due", 1, 0)
    assert 3 < wait_of(detail) < 6
    (attempt,) = detail["attempt_log"]
    assert attempt["error_class"] == "internal"
    assert "canary" not in str(detail)

    world.sql("UPDATE hub.execution SET attempt = 19")
    world.everything_due()
    world.run_executions()
    detail = world.read(execution)
    assert (detail["state"], detail["reason"], detail["attempts"]) == ("failed", "internal", 20)
    assert detail["error"]["type"] == "internal"
    assert not provider.calls


def test_an_accepted_execution_is_never_answered_as_if_it_were_not(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def finished(*_: Any) -> bool:
        return True

    def away(*_: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception("the server went away"))

    made = world.create(provider.url)
    monkeypatch.setattr(Waiters, "wait", finished)
    monkeypatch.setattr(store, "find_execution", away)
    answer = world.call(
        "POST",
        f"/integrations/{made['id']}/execute",
        json={"operation": "get_user", "input": {"path": {"id": 7}}},
        headers={"Prefer": "wait=5"},
    )
    assert (answer.status_code, answer.json()["state"]) == (202, "due")
    assert answer.headers["Location"].endswith(answer.json()["id"])


@pytest.mark.parametrize("body", ["[" * 5000 + "]" * 5000, "1" * 5000], ids=["deep", "long number"])
def test_a_row_that_cannot_be_read_fails_alone_and_does_not_hold_up_its_neighbours(
    world: World, provider: Provider, body: str
) -> None:
    made = world.create(provider.url)
    bad = world.execute(made["id"])
    # A door refuses such an input; this is what must not happen when one does not.
    world.sql("UPDATE hub.execution SET input = CAST(:input AS json)", input=f'{{"body": {body}}}')
    good = world.execute(made["id"])
    world.run_executions()
    assert world.read(good)["state"] == "done"
    assert [
        tuple(row)
        for row in world.sql(
            "SELECT state, reason, attempt FROM hub.execution WHERE id = :id",
            id=parse_id(Kind.EXECUTION, bad),
        )
    ] == [("failed", "invalid_input", 0)]


@pytest.mark.parametrize(
    "body",
    ["[" * 5000 + "]" * 5000, "[" * 300 + "]" * 300, "[1e999]", '["\\ud800"]', "1" * 5000, '{"a":1,"a":2}'],
    ids=["deepest", "deep", "infinite", "half a character", "long number", "key twice"],
)
def test_json_that_cannot_be_shown_as_a_value_is_shown_as_it_came(
    world: World, provider: Provider, body: str
) -> None:
    provider.default = lambda _call: Answer(body=body.encode())
    made = world.create(provider.url)
    execution = world.execute(made["id"])
    world.run_executions()
    result = world.read(execution)["result"]
    assert (result["encoding"], result["data"]) == ("text", body)
    tested = world.call("POST", f"/integrations/{made['id']}/test", json={})
    assert (tested.status_code, tested.json()["result"]["data"]) == (200, body)


def test_a_slow_answer_ends_at_the_integrations_timeout(world: World, provider: Provider) -> None:
    gate = threading.Event()
    provider.script = [Answer(gate=gate)]
    made = world.create(provider.url, timeout_seconds=0.2, retry_policy={"max_retries": 0})
    execution = world.execute(made["id"])
    world.run_executions()
    gate.set()
    detail = world.read(execution)
    assert (detail["state"], detail["error"]["type"]) == ("failed", "timeout")
    assert 150 < detail["metrics"]["latency_ms"] < 10_000


def test_a_definition_that_somebody_spoilt_by_hand_holds_up_no_other(
    world: World, provider: Provider
) -> None:
    spoilt = world.create(provider.url, name="spoilt")
    fine = world.create(provider.url, name="fine")
    of_spoilt, of_fine = world.execute(spoilt["id"]), world.execute(fine["id"])
    with world.engine.begin() as conn:
        conn.execute(
            text(
                "UPDATE hub.integration SET operations = '{\"get_user\": {\"path\": 7}}' WHERE name = 'spoilt'"
            )
        )
        bump_config_version(conn, world.tenant_id)
    world.run_executions()
    assert world.read(of_fine)["state"] == "done"
    waiting = world.read(of_spoilt)
    # Another worker may read it, or this one when it is mended.
    assert (waiting["state"], waiting["reason"], waiting["attempts"]) == ("due", "unreadable", 0)
    assert [call.path for call in provider.calls] == ["/users/7"]
    refused = world.call("POST", f"/integrations/{spoilt['id']}/execute", json={"operation": "get_user"})
    assert (refused.status_code, "cannot be read" in refused.text) == (409, True)
    with world.engine.begin() as conn:
        operations = "(SELECT operations FROM hub.integration WHERE name = 'fine')"
        conn.execute(text(f"UPDATE hub.integration SET operations = {operations} WHERE name = 'spoilt'"))
        bump_config_version(conn, world.tenant_id)
    world.everything_due()
    world.run_executions()
    assert world.read(of_spoilt)["state"] == "done"


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("error", ["failed"]),
        ("warning", ["due", "failed"]),
        ("info", ["due", "failed", "done"]),
        ("debug", ["due", "failed", "done"]),
    ],
)
def test_the_log_tells_of_executions_as_the_integration_wants(
    world: World, provider: Provider, caplog: pytest.LogCaptureFixture, level: str, told: list[str]
) -> None:
    caplog.set_level("DEBUG", logger="hub")
    provider.script = [Answer(500), Answer(400)]
    made = world.create(provider.url, logging={"level": level})
    world.execute(made["id"], query={"q": "a-value-of-the-caller"}, path={"id": 7})
    for _ in range(2):
        world.run_executions()
        world.everything_due()
    world.execute(made["id"])
    world.run_executions()
    lines = [
        record.getMessage() for record in caplog.records if "of provider.get_user" in record.getMessage()
    ]
    assert [line.split(": ")[1].split()[0] for line in lines] == told
    assert all(("'transport'" in line) is (level == "debug") for line in lines)
    assert not any("a-value-of-the-caller" in line for line in lines)
