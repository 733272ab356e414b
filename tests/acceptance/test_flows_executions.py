"""Executions and health checks end to end: real API, worker and beat processes, a real outside API."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests

from tests.support.receivers import Answer, Inbox, Request
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.acceptance


def get(hub: RunningHub, path: str) -> Any:
    answer = requests.get(f"{hub.url}{path}", headers={"Authorization": f"Bearer {hub.api_key}"}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def finished(hub: RunningHub, execution_id: str) -> Any:
    until(
        lambda: hub.http.get_execution(execution_id)["finished_at"] is not None,
        what=f"the end of {execution_id}",
    )
    return hub.http.get_execution(execution_id)


def test_an_execution_is_accepted_at_once_and_readable_with_result_and_attempts(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    inbox.answer = lambda request: Answer(body=json.dumps({"path": request.path}).encode())
    integration = hub.http.create_integration(
        name=word,
        base_url=inbox.url,
        auth={"mode": "bearer", "token": "canary-token"},
        operations={"get_user": {"path": "/users/{id}"}},
    )
    accepted = hub.http.execute(integration["id"], "get_user", {"path": {"id": 42}, "query": {"full": "yes"}})
    execution = finished(hub, accepted["id"])
    assert execution["state"] == "done"
    assert execution["result"]["data"] == {"path": "/users/42?full=yes"}
    assert [(a["outcome"], a["status"]) for a in execution["attempt_log"]] == [("succeeded", 200)]
    (request,) = inbox.requests
    assert request.headers["authorization"] == "Bearer canary-token"
    assert accepted["id"] in [
        one["id"] for one in get(hub, f"/v1/executions?integration={integration['id']}")["data"]
    ]


def test_prefer_wait_answers_with_the_result(hub: RunningHub, inbox: Inbox, word: str) -> None:
    integration = hub.http.create_integration(
        name=word,
        base_url=inbox.url,
        auth={"mode": "basic", "username": "ada", "password": "canary-password"},
        operations={"ping": {"path": "/ping"}},
    )
    execution = hub.http.execute(integration["id"], "ping", wait=10)
    assert execution["state"] == "done"
    assert "result" in execution
    assert execution["result"]["data"] == {"ok": True}  # type: ignore[typeddict-item]
    expected = base64.b64encode(b"ada:canary-password").decode()
    assert inbox.requests[0].headers["authorization"] == f"Basic {expected}"


def test_prefer_wait_that_is_too_short_answers_202_and_the_execution_goes_on(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Answer:
        until(lambda: asked, what="the caller's answer")
        return Answer()

    inbox.answer = answer
    integration = hub.http.create_integration(
        name=word, base_url=inbox.url, operations={"slow": {"path": "/slow"}}
    )
    response = requests.post(
        f"{hub.url}/v1/integrations/{integration['id']}/execute",
        json={"operation": "slow"},
        headers={"Authorization": f"Bearer {hub.api_key}", "Prefer": "wait=1"},
        timeout=10,
    )
    assert response.status_code == 202
    asked.extend(inbox.requests)
    assert finished(hub, response.json()["id"])["state"] == "done"


def test_a_failing_api_is_asked_again_and_every_attempt_is_kept(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    inbox.answer = lambda _: (
        Answer(503, b"busy", (("Retry-After", "0"),)) if len(inbox.requests) < 3 else Answer()
    )
    integration = hub.http.create_integration(
        name=word,
        base_url=inbox.url,
        auth={"mode": "api_key", "name": "X-Key", "key": "canary-key"},
        operations={"read": {"path": "/read"}},
        retry_policy={"strategy": "fixed", "base_seconds": 0.1},
    )
    execution = hub.http.execute(integration["id"], "read", wait=20)
    assert execution["state"] == "done"
    detail = hub.http.get_execution(execution["id"])
    assert [(a["outcome"], a["status"]) for a in detail["attempt_log"]] == [
        ("failed", 503), ("failed", 503), ("succeeded", 200),
    ]  # fmt: skip
    assert detail["metrics"]["retry_count"] == 2
    assert {request.headers["x-key"] for request in inbox.requests} == {"canary-key"}


def test_the_same_request_twice_is_one_execution(hub: RunningHub, inbox: Inbox, word: str) -> None:
    integration = hub.http.create_integration(
        name=word, base_url=inbox.url, operations={"pay": {"method": "POST", "path": "/pay"}}
    )
    first = hub.http.execute(integration["id"], "pay", {"body": {"n": 1}}, idempotency_key=word)
    second = hub.http.execute(integration["id"], "pay", {"body": {"n": 1}}, idempotency_key=word)
    assert first["id"] == second["id"]
    finished(hub, first["id"])
    assert len(inbox.requests) == 1
    answer = requests.post(
        f"{hub.url}/v1/integrations/{integration['id']}/execute",
        json={"operation": "pay", "input": {"body": {"n": 2}}},
        headers={"Authorization": f"Bearer {hub.api_key}", "Idempotency-Key": word},
        timeout=10,
    )
    assert answer.status_code == 422


def test_beat_has_integrations_checked_and_notes_how_they_are(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    integration = hub.http.create_integration(
        name=word,
        base_url=inbox.url,
        health_check={"interval_seconds": 1, "path": "/health", "unhealthy_after": 2},
    )
    path = f"/v1/integrations/{integration['id']}"
    until(lambda: get(hub, f"{path}/health")["status"] == "healthy", what="healthy")
    inbox.answer = lambda _: Answer(500)
    until(lambda: get(hub, f"{path}/health")["status"] == "unhealthy", what="unhealthy")
    inbox.answer = lambda _: Answer()
    until(lambda: get(hub, f"{path}/health")["status"] == "healthy", what="healthy again")

    health = get(hub, f"{path}/health")
    changes = [one["to_status"] for one in get(hub, f"{path}/health-changes")["data"]]
    assert changes[0] == changes[-1] == "healthy"
    assert "unhealthy" in changes
    checks = health["checks"]["5m"]
    assert checks["calls"] >= 4
    assert checks["failed"] >= 2
    assert 0 < checks["success_rate"] < 1
    assert checks["average_latency_ms"] > 0
    assert {request.path for request in inbox.requests} == {"/health"}
    scheduled = [check["scheduled_for"] for check in health["last_checks"]]
    assert len(set(scheduled)) == len(scheduled), "each due moment is checked once"
    hub.http.delete_integration(integration["id"])
