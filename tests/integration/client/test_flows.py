"""Flows, alerts and the audit log through the HTTP client, against a served API."""

from __future__ import annotations

import pytest

from hub.client import HubApiError
from tests.integration.client.served import Served


def test_flows_are_made_listed_changed_tried_and_deleted(served: Served) -> None:
    client, key = served.client, served.new_integration()
    made = client.create_flow(
        "paid",
        ("order.*",),
        key,
        "get_user",
        filter={"data.total": {"$gt": 1}},
        mapping=[{"rename": {"data": "path"}}, {"pick": ["path.id"]}],
    )
    other = client.create_flow("other", ["*"], key, "request", paused=True)
    assert client.get_flow(made["id"]) == made
    assert [one["id"] for one in client.iterate("flows", limit=1)] == [other["id"], made["id"]]
    nobodys = f"int_{'0' * 32}"
    assert client.list_flows(integration=nobodys)["data"] == []
    changed = client.update_flow(made["id"], version=1, labels=["eu"])
    assert (changed["labels"], changed["version"], changed["filter"]) == (["eu"], 2, made["filter"])
    with pytest.raises(HubApiError, match="412"):
        client.update_flow(made["id"], version=1, labels=[])
    tried = client.test_flow(made["id"], "order.paid", {"id": 7, "total": 5}, labels=["eu"])
    assert (tried["starts"], tried["would_call"]) == (True, True)
    assert tried["input"] == {"path": {"id": 7}}
    assert client.test_flow(made["id"], "order.paid", {"id": 7})["why_not"] == "labels"
    assert client.list_executions(flow=made["id"])["data"] == []
    with pytest.raises(HubApiError, match="the flow publishes nothing"):
        client.publish_flow(made["id"], [f"exe_{'0' * 32}"])
    client.delete_flow(made["id"])
    with pytest.raises(HubApiError, match="404"):
        client.get_flow(made["id"])


def test_alerts_that_were_never_judged_do_not_fire(served: Served) -> None:
    key = served.new_integration()
    assert served.client.list_integration_alerts(key) == []
    served.client.update_integration(key, alerts=[{"name": "broken", "metric": "health", "at_least": 2}])
    (alert,) = served.client.list_integration_alerts(key)
    assert alert == {"name": "broken", "firing": False, "since": None, "value": None}


def test_the_audit_log_is_read_by_subject_and_action(served: Served) -> None:
    client, key = served.client, served.new_integration()
    other = client.create_integration(name="billing", base_url="http://127.0.0.1:9")["id"]
    client.update_integration(key, description="new")
    told = [(one["action"], one["subject"]) for one in client.iterate("audit", limit=1)]
    assert told == [
        ("integration.changed", key),
        ("integration.created", other),
        ("integration.created", key),
    ]
    assert [one["action"] for one in client.list_audit(subject=key)["data"]] == [
        "integration.changed",
        "integration.created",
    ]
    assert [one["subject"] for one in client.list_audit(action="integration.created")["data"]] == [other, key]
