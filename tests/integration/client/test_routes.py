"""Every noun of the HTTP client against a real API: the paths, the fields, what comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from hub.client import HubApiError, Json
from hub.client.results import EventInput
from hub.client.streaming import EventStream
from tests.integration.client.served import Served

SOON = datetime.now(UTC) + timedelta(hours=1)


def test_an_event_carries_its_options(served: Served) -> None:
    receipt = served.client.publish(
        "invoice.paid",
        {"n": 1},
        labels=("eu", "big"),
        ordering_key="customer-7",
        deliver_at=SOON,
        expires_at=(SOON + timedelta(hours=1)).isoformat(),
    )
    event = served.client.get_event(receipt["id"])
    assert (event["labels"], event["ordering_key"], event["state"]) == (
        ["eu", "big"],
        "customer-7",
        "scheduled",
    )
    assert event["deliver_at"] is not None
    assert datetime.fromisoformat(event["deliver_at"]) == SOON


def test_a_scheduled_event_is_taken_back_once(served: Served) -> None:
    receipt = served.client.publish("a", Json("1.0"), deliver_at=SOON)
    assert served.client.cancel_event(receipt["id"])["state"] == "cancelled"
    with pytest.raises(HubApiError) as caught:
        served.client.cancel_event(receipt["id"])
    assert caught.value.status == 409


def test_a_list_is_accepted_in_part_when_that_is_asked_for(served: Served) -> None:
    events: list[EventInput] = [
        {"type": "good", "data": Json("1.0"), "deliver_at": SOON, "labels": ["eu"]},
        {"type": "not good", "data": 2},
    ]
    with pytest.raises(HubApiError, match="422"):
        served.client.publish_many(events)
    good, bad = served.client.publish_many(events, partial=True)
    assert good["status"] == "accepted"
    assert bad["status"] == "invalid"
    assert bad["id"] is None
    assert [one["path"] for one in bad["errors"]] == ["1.type"]


def test_a_dry_run_shows_what_would_be_sent(served: Served) -> None:
    made = served.client.create_endpoint(
        name="billing", url="http://127.0.0.1:9/", event_types=["invoice.*"], labels=["eu"]
    )
    found = served.client.dry_run_event("invoice.paid", {"n": 1}, labels=["eu"])
    assert [(one["endpoint"], one["would_send"]) for one in found["endpoints"]] == [(made["id"], True)]
    refused = served.client.dry_run_event("order.paid", {"n": 1}, endpoint=made["id"])["endpoints"][0]
    assert (refused["would_send"], refused["reason"]) == (False, "event_type")
    with pytest.raises(HubApiError) as caught:
        served.client.dry_run_event(
            "a", Json("1.0"), id="no id", ordering_key="k", deliver_at=SOON, expires_at=SOON
        )
    assert [one.path for one in caught.value.errors] == ["expires_at"]
    assert served.client.list_events()["data"] == []


def test_an_event_is_sent_again_to_an_endpoint_that_did_not_get_it(served: Served, engine: Engine) -> None:
    receipt = served.client.publish("a", 1)
    with engine.begin() as conn:  # a worker found no endpoint for it
        conn.execute(text("DELETE FROM hub.outbox"))
        conn.execute(text("UPDATE hub.message SET reason = 'no_endpoint'"))
    endpoint = served.client.create_endpoint(name="late", url="http://127.0.0.1:9/")
    sent = served.client.resend_event(receipt["id"], idempotency_key="again")
    assert len(sent["deliveries"]) == 1
    assert served.client.resend_event(receipt["id"], idempotency_key="again") == sent
    assert served.client.get_delivery(sent["deliveries"][0])["endpoint"] == endpoint["id"]


def test_replays_are_tried_made_listed_and_steered(served: Served) -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    endpoint = served.client.create_endpoint(name="one", url="http://127.0.0.1:9/")["id"]
    assert served.client.try_replay("failed", since=since, endpoint=endpoint)["total"] == 0
    assert served.client.list_replays()["data"] == []
    made = served.client.create_replay(
        "missing", since=since, until=datetime.now(UTC).isoformat(), rate=5, idempotency_key="one"
    )
    again = served.client.create_replay(
        "missing", since=since, until=made["until"], rate=6, idempotency_key="two", endpoint=endpoint
    )
    assert [row["id"] for row in served.client.iterate("replays", limit=1)] == [again["id"], made["id"]]
    assert served.client.pause_replay(made["id"])["state"] == "paused"
    assert served.client.resume_replay(made["id"])["state"] in {"pending", "running"}
    assert served.client.cancel_replay(made["id"])["state"] == "cancelled"
    assert served.client.get_replay(made["id"])["outcomes"] == {}


def test_event_types_are_made_versioned_judged_and_archived(served: Served) -> None:
    client = served.client
    made = client.create_event_type("invoice.paid", labels=["billing"], schema={"required": ["amount"]})
    assert made["schema"] == {"required": ["amount"]}
    assert client.publish_schema_version("invoice.paid", {"type": "object"}, example={})["version"] == 2
    assert client.get_schema_version("invoice.paid", 1)["schema"] == {"required": ["amount"]}
    assert [row["version"] for row in client.list_schema_versions("invoice.paid")["data"]] == [2, 1]
    assert client.validate_event("invoice.paid", [])["valid"] is False
    assert client.validate_event("invoice.paid", Json("{}"))["valid"] is True
    assert client.validate_event("invoice.paid", {}, version=1)["errors"] != []
    assert client.update_event_type("invoice.paid", validation="enforce")["validation"] == "enforce"
    assert [row["name"] for row in client.list_event_types(labels=["billing"])["data"]] == ["invoice.paid"]
    assert client.list_event_types(labels=["billing", "other"])["data"] == []
    client.archive_event_type("invoice.paid")
    assert client.get_event_type("invoice.paid")["archived_at"] is not None
    assert [row["name"] for row in client.iterate("event_types", archived=True)] == ["invoice.paid"]


def test_event_types_are_imported_and_unknown_ones_refused(served: Served) -> None:
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "webhooks": {
            "order.made": {
                "post": {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}
            }
        },
    }
    assert served.client.import_event_types(document, dry_run=True)["data"][0]["result"] == "created"
    assert served.client.list_event_types()["data"] == []
    assert served.client.import_event_types(document, validation="warn")["data"][0]["name"] == "order.made"
    settings = {"unknown_event_types": "allow", "retry_policy": None}
    assert served.client.get_event_type_settings() == settings
    policy = {"strategy": "schedule", "delays": [1.0]}
    served.client.update_event_type_settings(retry_policy=policy)
    chosen = served.client.update_event_type_settings(unknown_event_types="enforce")
    assert chosen == {"unknown_event_types": "enforce", "retry_policy": policy}


def test_sources_are_made_looked_into_and_deleted(served: Served, engine: Engine) -> None:
    client = served.client
    assert "github" in {profile["name"] for profile in client.list_source_profiles()}
    made = client.create_source(name="hubbub", verifier={"profile": "github"}, secrets=["s" * 32])
    assert client.get_source(made["id"])["url"].endswith(f"/in/{made['id']}")
    assert client.update_source(made["id"], status="paused")["status"] == "paused"
    assert len(client.rotate_source_secret(made["id"], "n" * 32, overlap_seconds=60)["secrets"]) == 2
    assert [row["id"] for row in client.iterate("sources")] == [made["id"]]
    assert client.list_source_requests(made["id"], outcome="rejected")["data"] == []
    for call in (client.get_source_request, client.replay_source_request):
        with pytest.raises(HubApiError, match="404"):
            call(made["id"], "inr_" + "0" * 32)
    client.delete_source(made["id"])
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM hub.source")).scalar_one() == 0


def test_events_are_followed(served: Served) -> None:
    with served.client.stream_events(types=["invoice.*"], labels=["eu"]) as stream:
        served.client.publish("invoice.paid", 1)
        receipt = served.client.publish("invoice.paid", 2, labels=["eu"])
        event = next(stream)
    assert isinstance(stream, EventStream)
    assert (event.message_id, event.data) == (receipt["id"], 2)
    assert list(stream) == []
