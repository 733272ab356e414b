"""`hub endpoints …` and the client's methods of endpoints, against a served API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import get_type_hints

import pytest

from hub.client import HubApiError, results
from tests.integration.cli.conftest import Hub
from tests.integration.client.served import Served

URL = "http://127.0.0.1:9/hook"


def test_an_endpoint_is_made_shown_changed_paused_and_deleted(hub: Hub, api: Served) -> None:
    fields = json.dumps({"metadata": {"team": "books"}, "max_in_flight": 3})
    made = hub(
        "endpoints", "create", "billing", URL, "--event-type", "invoice.*", "--field", fields, "--json"
    ).json
    assert (made["event_types"], made["max_in_flight"]) == (["invoice.*"], 3)
    key = made["id"]
    listed = hub("endpoints", "list")
    assert all(text in listed.out for text in (key, "billing", "active", "invoice.*"))
    shown = hub("endpoints", "show", key)
    assert "monitoring" in shown.out
    assert made["signing_secret"] not in shown.out
    assert (
        hub("endpoints", "update", key, '{"description": "x"}', "--version", "1", "--json").json["version"]
        == 2
    )
    stale = hub("endpoints", "update", key, "{}", "--version", "1")
    assert (stale.code, stale.err.count("\n")) == (1, 1)
    assert hub("endpoints", "pause", "billing").out == f"{key} paused\n"
    assert "active, 0 deliveries cancelled" in hub("endpoints", "resume", key, "--discard").out
    assert hub("endpoints", "test", key, "[1]", "--wait", "0", "--json").json["state"] == "due"
    assert hub("endpoints", "statistics", key, "--period", "7d", "--json").json["waiting"] == 1
    rotated = hub("endpoints", "rotate-secret", key, "--overlap", "60")
    assert "whsec_" in rotated.out
    assert hub("endpoints", "verify", key).code == 1
    assert hub("endpoints", "delete", "billing").out == f"{key} deleted\n"
    assert hub("endpoints", "show", key).code == 1


def test_a_list_is_imported_or_told_why_not(hub: Hub, api: Served) -> None:
    good, bad = {"name": "a", "url": URL}, {"name": "b", "url": "ftp://x/"}
    refused = hub("endpoints", "import", json.dumps([good, bad]))
    assert refused.code == 1
    assert "endpoints.1.url" in refused.err
    judged = hub("endpoints", "import", json.dumps([good, bad]), "--dry-run")
    assert (judged.code, "valid" in judged.out, "refused" in judged.out) == (1, True, True)
    partly = hub("endpoints", "import", json.dumps([good, bad]), "--partial", "--json")
    assert (partly.code, partly.json["created"]) == (0, 1)
    gone = hub("endpoints", "delete", "a", "--json")
    assert gone.json == {"id": partly.json["data"][0]["id"], "deleted": True}
    assert hub("endpoints", "import", "{}").code == 2


def test_what_is_not_there_is_a_sentence(hub: Hub, api: Served) -> None:
    for command in ("show", "pause", "verify", "statistics", "rotate-secret", "delete", "test"):
        for given in ("ep_1", "shop-a", "ep_" + "0" * 32):
            ended = hub("endpoints", command, given)
            assert (ended.code, ended.err.count("\n")) == (1, 1), ended.err
    unknown = hub("endpoints", "show", "shop-a").err
    assert "'shop-a' is neither the name nor the id of an endpoint (ep_" in unknown
    assert "`hub endpoints list`" in unknown


def test_the_client_knows_every_field_of_what_is_said_of_an_endpoint(api: Served) -> None:
    client = api.client
    made = client.create_endpoint(name="a", url=URL)
    key = made["id"]
    answers: list[tuple[type, Mapping[str, object]]] = [
        (results.EndpointSecret, made),
        (results.EndpointDetail, client.get_endpoint(key)),
        (results.Endpoint, client.list_endpoints()["data"][0]),
        (results.EndpointSwitched, client.resume_endpoint(key)),
        (results.EndpointStatistics, client.endpoint_statistics(key)),
        (results.SentTest, client.test_endpoint(key)),
        (results.ImportReport, client.import_endpoints([{"name": "b", "url": URL}], dry_run=True)),
    ]
    for known, sent in answers:
        assert set(get_type_hints(known)) == set(sent), known.__name__


def test_the_client_speaks_of_keys_and_versions(api: Served) -> None:
    client = api.client
    made = client.create_endpoint(name="a", url=URL, asymmetric=True)
    assert client.rotate_endpoint_key(made["id"], overlap_seconds=0)["public_key"] != made["public_key"]
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert client.rotate_endpoint_secret(made["id"], secret=secret)["signing_secret"] == secret
    with pytest.raises(HubApiError) as caught:
        client.update_endpoint(made["id"], version=1, description="x")
    assert (caught.value.status, caught.value.code) == (412, "precondition_failed")
    assert client.update_endpoint(made["id"], version=3, description="x")["version"] == 4


def test_an_endpoint_is_named_wherever_one_is_asked_for(hub: Hub, api: Served) -> None:
    key = api.client.create_endpoint(name="shop-a", url=URL)["id"]
    event = hub("publish", "a.b", "1", "--json").json["id"]
    sent = hub("endpoints", "test", "shop-a", "--wait", "0", "--json").json
    listed = hub("deliveries", "list", "--endpoint", "shop-a", "--json").json["data"]
    assert [(one["id"], one["endpoint"]) for one in listed] == [(sent["delivery"], key)]
    assert hub("replay", "failed", "--since", "1h", "--endpoint", "shop-a", "--dry-run", "--json").code == 0
    assert "is on its way" in hub("replay", "event", event, "--endpoint", "shop-a").err
    assert hub("replay", "event", event, "--endpoint", "shop-b").code == 1


def test_an_id_of_another_kind_is_wrong_usage_and_says_where_the_right_ones_are(
    hub: Hub, api: Served
) -> None:
    for arguments, listed_by in (
        (("deliveries", "show", "shop-a"), "hub deliveries list"),
        (("executions", "cancel", "shop-a"), "hub executions list"),
        (("replay", "status", "ep_" + "0" * 32), "hub replay list"),
        (("sources", "requests", "code", "shop-a"), "hub sources requests"),
    ):
        ended = hub(*arguments)
        assert ended.code == 2
        said = " ".join(ended.err.split())
        assert "is not the id of" in said
        assert f"`{listed_by}" in said
