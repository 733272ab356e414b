"""Integrations, executions, schedules and grants through the HTTP client, against a served API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.client import HubApiError
from tests.integration.client.served import Served

SOON = datetime.now(UTC) + timedelta(hours=1)
DOCUMENT = {
    "name": "crm",
    "base_url": "http://127.0.0.1:9",
    "auth": {"mode": "bearer", "token": "secret-token"},
    "tags": ["eu", "sales"],
    "quota": {"calls_per_day": 10},
    "operations": {"get_user": {"path": "/users/{id}"}},
}
INPUT = {"path": {"id": 7}}


def applied(served: Served, **changes: Any) -> str:
    served.client.apply_integrations([{**DOCUMENT, **changes}])
    (one,) = served.client.list_integrations(search="crm")["data"]
    return one["id"]


def test_declared_definitions_are_tried_applied_and_found(served: Served) -> None:
    client = served.client
    assert client.apply_integrations([DOCUMENT], dry_run=True)["data"][0]["action"] == "create"
    assert client.list_integrations()["data"] == []
    key = applied(served)
    assert client.apply_integrations([DOCUMENT])["data"][0]["action"] == "none"
    assert [one["id"] for one in client.iterate("integrations", tag=["eu", "sales"])] == [key]
    assert client.list_integrations(tag=["eu", "other"])["data"] == []
    assert client.list_integrations(type="database")["data"] == []


def test_versions_are_listed_compared_and_rolled_back(served: Served) -> None:
    client, key = served.client, applied(served)
    assert client.update_integration(key, version=1, tags=["us"])["version"] == 2
    with pytest.raises(HubApiError, match="412"):
        client.update_integration(key, version=1, tags=["x"])
    assert [one["version"] for one in client.list_integration_versions(key)] == [2, 1]
    assert [one["version"] for one in client.list_integration_versions(key, before=2, limit=1)] == [1]
    assert client.get_integration_version(key, 1)["document"]["tags"] == ["eu", "sales"]
    change = {"path": "tags", "before": ["eu", "sales"], "after": ["us"]}
    assert client.compare_integration_versions(key, 1)["changes"] == [change]
    assert client.compare_integration_versions(key, 2, 1)["to_version"] == 1
    assert client.roll_back_integration(key, 1)["tags"] == ["eu", "sales"]
    with pytest.raises(HubApiError, match="412"):
        client.delete_integration(key, version=1)
    client.delete_integration(key, version=3)
    assert client.list_integrations()["data"] == []


def test_a_call_is_tested_tried_and_counted(served: Served) -> None:
    client, key = served.client, applied(served)
    tested = client.test_integration(key, "get_user", INPUT)
    assert (tested["ok"], tested["error"] is None) == (False, False)
    shown = client.dry_run_execution(key, "get_user", INPUT, user="kim")
    assert shown["would_call"]
    assert shown["request"] is not None
    assert shown["request"]["endpoint"] == "http://127.0.0.1:9/users/7"
    assert "secret-token" not in str(shown)
    usage = client.get_integration_usage(key)
    assert (usage["counted"], usage["day"]["calls"], usage["day"]["calls_limit"]) == (True, 0, 10)
    assert usage["month"]["begins"].endswith("-01")


def test_executions_say_who_asks_and_when(served: Served) -> None:
    client, key = served.client, applied(served)
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    made = client.execute(
        key, "get_user", INPUT, user="kim", component="shop", not_before=SOON, traceparent=trace
    )
    found = client.get_execution(made["id"])
    assert (found["user"], found["component"], found["trace_id"]) == ("kim", "shop", "ab" * 16)
    assert found["next_attempt_at"] is not None
    assert datetime.fromisoformat(found["next_attempt_at"]) == SOON
    other = client.execute(key, "request", {"path": "/x"})
    since = found["created_at"]
    ids = [made["id"], other["id"]]
    asked: list[tuple[dict[str, Any], list[str]]] = [
        ({"user": "kim"}, ids[:1]),
        ({"operation": "request"}, ids[1:]),
        ({"since": since}, ids[::-1]),
        ({"until": since}, []),
        ({"error_class": "timeout"}, []),
        ({"status": 200}, []),
    ]
    for filters, expected in asked:
        assert [one["id"] for one in client.iterate("executions", **filters)] == expected, filters


def test_an_execution_is_made_again_with_another_input(served: Served) -> None:
    client, key = served.client, applied(served)
    first = client.execute(key, "get_user", INPUT)
    again = client.replay_execution(first["id"], input={"path": {"id": 8}}, idempotency_key="once")
    assert client.replay_execution(first["id"], input={"path": {"id": 8}}, idempotency_key="once") == again
    found = client.get_execution(again["id"])
    assert (found["replay_of"], found["input"]) == (first["id"], {"path": {"id": 8}})
    waited = client.replay_execution(first["id"], operation="request", input={"path": "/"}, wait=0)
    assert client.get_execution(waited["id"])["operation"] == "request"


def test_a_batch_is_all_or_nothing_and_followed(served: Served) -> None:
    client, key = served.client, applied(served)
    with pytest.raises(HubApiError) as caught:
        client.execute_many(key, [{"operation": "get_user", "input": INPUT}, {"operation": "nope"}])
    assert [one.path for one in caught.value.errors] == ["items.1.operation"]
    batch = client.execute_many(
        key,
        [{"operation": "get_user", "input": INPUT, "not_before": SOON}, {"operation": "request"}],
    )
    assert len(batch["data"]) == 2
    assert client.get_batch(batch["id"])["states"] == {"due": 2}
    assert len(client.list_executions(batch=batch["id"])["data"]) == 2


def test_schedules_are_made_paused_changed_and_deleted(served: Served) -> None:
    client, key = served.client, applied(served)
    made = client.create_schedule(key, "nightly", "get_user", cron="30 2 * * *", input=INPUT)
    assert client.pause_schedule(made["id"])["next_at"] is None
    assert client.resume_schedule(made["id"])["next_at"] == made["next_at"]
    changed = client.update_schedule(made["id"], version=3, every_seconds=60)
    assert (changed["cron"], changed["every_seconds"]) == (None, 60)
    with pytest.raises(HubApiError, match="412"):
        client.update_schedule(made["id"], version=3, every_seconds=61)
    assert [one["id"] for one in client.iterate("schedules", integration=key)] == [made["id"]]
    client.delete_schedule(made["id"])
    with pytest.raises(HubApiError, match="404"):
        client.get_schedule(made["id"])


def test_grants_are_begun_looked_at_and_forgotten(served: Served) -> None:
    client = served.client
    auth = {
        "mode": "oauth2",
        "grant": "authorization_code",
        "token_url": "http://127.0.0.1:9/token",
        "authorize_url": "http://127.0.0.1:9/authorize",
        "client_id": "hub",
        "client_secret": "secret-token",
    }
    key = client.create_integration(name="crm", type="oauth", base_url="http://127.0.0.1:9", auth=auth)["id"]
    begun = client.authorize_integration(key)
    assert begun["url"] is not None
    assert begun["url"].startswith("http://127.0.0.1:9/authorize?")
    assert client.get_grant(key)["state"] == "none"
    with pytest.raises(HubApiError):
        client.refresh_grant(key)
    with pytest.raises(HubApiError):
        client.poll_authorization(key)
    assert client.delete_grant(key)["revoked"] in {True, False}
