"""The routes of event types, on a running application."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from hub.access.scopes import Scope
from hub.json_schema import DIALECT
from tests.integration.webhooks.catalogue.conftest import RunningHub

BASE = "/v1/event-types"
SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}, "note": {}}}


def create(hub: RunningHub, name: str = "invoice.paid", **fields: Any) -> Any:
    answer = hub.call("POST", BASE, json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def faults(answer: requests.Response) -> dict[str, str]:
    return {error["path"]: error["message"] for error in answer.json()["errors"]}


def test_a_type_is_made_read_changed_archived_and_brought_back(hub: RunningHub) -> None:
    made = create(
        hub,
        title="Paid",
        description="d",
        labels=["billing"],
        validation="warn",
        schema=SCHEMA,
        example={"amount": 1},
    )
    assert made["id"].startswith("evt_")
    assert (made["current_version"], made["schema"], made["example"]) == (1, SCHEMA, {"amount": 1})
    assert list(made["schema"]["properties"]) == ["amount", "note"]
    assert hub.call("GET", f"{BASE}/invoice.paid").json() == made
    changed = hub.call("PATCH", f"{BASE}/invoice.paid", json={"deprecated": True, "labels": []}).json()
    assert (changed["deprecated"], changed["labels"], changed["title"]) == (True, [], "Paid")
    assert hub.call("DELETE", f"{BASE}/invoice.paid").status_code == 204
    assert hub.call("DELETE", f"{BASE}/invoice.paid").status_code == 204
    assert hub.call("GET", BASE).json()["data"] == []
    assert [one["name"] for one in hub.call("GET", f"{BASE}?archived=true").json()["data"]] == [
        "invoice.paid"
    ]
    assert hub.call("GET", f"{BASE}/invoice.paid").json()["archived_at"] is not None
    taken = hub.call("POST", BASE, json={"name": "invoice.paid"})
    assert (taken.status_code, "archived: false" in taken.json()["detail"]) == (409, True)
    assert hub.call("POST", f"{BASE}/invoice.paid/versions", json={"schema": True}).status_code == 409
    back = hub.call("PATCH", f"{BASE}/invoice.paid", json={"archived": False})
    assert (back.status_code, back.json()["archived_at"]) == (200, None)
    assert hub.call("POST", f"{BASE}/invoice.paid/versions", json={"schema": True}).status_code == 201


def test_versions_stay_readable_and_tell_what_they_break(hub: RunningHub) -> None:
    create(hub, schema=SCHEMA)
    second = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "string"}}}
    made = hub.call("POST", f"{BASE}/invoice.paid/versions", json={"schema": second}).json()
    assert (made["version"], made["schema"]) == (2, second)
    assert made["breaking_changes"] == [
        {"path": "data.amount", "change": "type_changed"},
        {"path": "data.note", "change": "property_removed"},
    ]
    again = hub.call("POST", f"{BASE}/invoice.paid/versions", json={"schema": second})
    assert (again.status_code, "version 2" in again.json()["detail"]) == (409, True)
    assert hub.call("GET", f"{BASE}/invoice.paid/versions/1").json()["schema"] == SCHEMA
    assert hub.call("GET", f"{BASE}/invoice.paid").json()["schema"] == second
    page = hub.call("GET", f"{BASE}/invoice.paid/versions?limit=1").json()
    assert [one["version"] for one in page["data"]] == [2]
    rest = hub.call("GET", f"{BASE}/invoice.paid/versions?cursor={page['next_cursor']}").json()
    assert ([one["version"] for one in rest["data"]], rest["next_cursor"]) == ([1], None)
    assert "schema" not in rest["data"][0]
    assert hub.call("GET", f"{BASE}/invoice.paid/versions/3").status_code == 404
    for number in (0, 2**31, "x"):
        assert hub.call("GET", f"{BASE}/invoice.paid/versions/{number}").status_code == 422
    assert hub.call("GET", f"{BASE}/none/versions").status_code == 404


def test_lists_are_paged_and_narrowed_by_labels(hub: RunningHub) -> None:
    for name, labels in (("a.one", ["x"]), ("a.two", ["x", "y"]), ("a.three", ["y"])):
        create(hub, name, labels=labels)

    def names(query: str) -> list[str]:
        return [one["name"] for one in hub.call("GET", f"{BASE}?{query}").json()["data"]]

    assert names("") == ["a.three", "a.two", "a.one"]
    assert names("label=x") == ["a.two", "a.one"]
    assert names("label=x&label=y") == ["a.two"]
    assert names("label=z") == []
    page = hub.call("GET", f"{BASE}?limit=2").json()
    assert names(f"cursor={page['next_cursor']}") == ["a.one"]


@pytest.mark.parametrize("name", ["import", "a.b.c-d_e", "versions", "a" * 128])
def test_any_event_type_can_be_a_path(hub: RunningHub, name: str) -> None:
    create(hub, name, schema=True)
    assert hub.call("GET", f"{BASE}/{name}").json()["name"] == name
    assert hub.call("POST", f"{BASE}/{name}/validate", json={"data": 1}).json()["valid"] is True


@pytest.mark.parametrize(
    "query",
    ["/a%00b", "/%F0%9F%98%80", "/" + "a" * 5000, "?label=%00"],
    ids=["nul", "emoji", "long", "label"],
)
def test_no_address_is_a_fault_of_ours(hub: RunningHub, query: str) -> None:
    assert 400 <= hub.call("GET", f"{BASE}{query}").status_code < 500


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "invoice paid"}, "name"),
        ({"name": "invoice.*"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a" * 129}, "name"),
        ({"name": "a", "validation": "maybe"}, "validation"),
        ({"name": "a", "validation": "enforce"}, "validation"),
        ({"name": "a", "labels": [""]}, "labels.0"),
        ({"name": "a", "schemas": {}}, "schemas"),
        ({"name": "a", "schema": {"type": "text"}}, "schema.type"),
        ({"name": "a", "schema": {"properties": {"b": {"pattern": "(?=a)"}}}}, "schema.properties.b.pattern"),
        ({"name": "a", "schema": {"$ref": "https://example.com"}}, "schema.$ref"),
        ({"name": "a", "schema": {"$schema": "http://json-schema.org/schema#"}}, "schema.$schema"),
        ({"name": "a", "schema": SCHEMA, "example": {"amount": "1"}}, "example.amount"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_refused_is_named_and_nothing_is_written(
    hub: RunningHub, body: dict[str, Any], path: str
) -> None:
    answer = hub.call("POST", BASE, json=body)
    assert answer.status_code == 422
    assert path in faults(answer)
    assert hub.call("GET", BASE).json()["data"] == []


def test_an_update_with_null_is_refused(hub: RunningHub) -> None:
    create(hub)
    for name in ("title", "labels", "deprecated", "validation", "archived"):
        assert name in faults(hub.call("PATCH", f"{BASE}/invoice.paid", json={name: None}))
    assert "name" in faults(hub.call("PATCH", f"{BASE}/invoice.paid", json={"name": "other"}))
    assert "archived" in faults(hub.call("PATCH", f"{BASE}/invoice.paid", json={"archived": True}))


def test_a_sample_is_judged_whatever_the_mode_and_by_any_version(hub: RunningHub) -> None:
    create(hub)
    path = f"{BASE}/invoice.paid/validate"
    assert hub.call("POST", path, json={"data": 1}).status_code == 409
    for schema in (SCHEMA, True):
        hub.call("POST", f"{BASE}/invoice.paid/versions", json={"schema": schema})
    assert hub.call("POST", path, json={"data": {}}).json() == {"valid": True, "version": 2, "errors": []}
    assert hub.call("POST", path, json={"data": {"amount": 1.5}, "version": 1}).json() == {
        "valid": False,
        "version": 1,
        "errors": [{"path": "data.amount", "message": "must be an integer"}],
    }
    assert hub.call("POST", path, json={"data": {}, "version": 3}).status_code == 404
    assert hub.call("POST", path, json={"data": {}, "version": 2**31}).status_code == 422


SETTINGS = "/v1/event-type-settings"
FIXED = {"strategy": "fixed", "initial_seconds": 5.0, "max_retries": 3}


def test_settings_are_read_and_chosen(hub: RunningHub) -> None:
    assert hub.call("GET", SETTINGS).json() == {"unknown_event_types": "allow", "retry_policy": None}
    assert hub.call("PATCH", SETTINGS, json={"unknown_event_types": "enforce"}).status_code == 200
    chosen = {"unknown_event_types": "warn", "retry_policy": FIXED}
    assert hub.call("PATCH", SETTINGS, json=chosen).json() == chosen
    assert hub.call("GET", SETTINGS).json() == chosen


def test_settings_that_are_left_out_stay(hub: RunningHub) -> None:
    # Defaults of a policy are written down, so that a later release does not change it.
    sent = {"strategy": "fixed", "max_retries": 3}
    assert hub.call("PATCH", SETTINGS, json={"retry_policy": sent}).json() == {
        "unknown_event_types": "allow",
        "retry_policy": FIXED,
    }
    enforced = {"unknown_event_types": "enforce", "retry_policy": FIXED}
    assert hub.call("PATCH", SETTINGS, json={"unknown_event_types": "enforce"}).json() == enforced
    assert hub.call("PATCH", SETTINGS, json={}).json() == enforced
    cleared = {"unknown_event_types": "enforce", "retry_policy": None}
    assert hub.call("PATCH", SETTINGS, json={"retry_policy": None}).json() == cleared
    assert hub.call("GET", SETTINGS).json() == cleared


def test_an_event_type_has_a_retry_policy_until_it_is_taken_away(hub: RunningHub) -> None:
    path = f"{BASE}/invoice.paid"
    assert create(hub, retry_policy={"strategy": "fixed", "max_retries": 3})["retry_policy"] == FIXED
    assert hub.call("GET", path).json()["retry_policy"] == FIXED
    assert hub.call("GET", BASE).json()["data"][0]["retry_policy"] == FIXED
    assert hub.call("PATCH", path, json={"title": "x"}).json()["retry_policy"] == FIXED
    schedule = {"strategy": "schedule", "delays": [1.0, 60.0]}
    assert hub.call("PATCH", path, json={"retry_policy": schedule}).json()["retry_policy"] == schedule
    assert hub.call("PATCH", path, json={"retry_policy": None}).json()["retry_policy"] is None
    assert hub.call("GET", path).json()["retry_policy"] is None
    assert create(hub, "other")["retry_policy"] is None


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        (7, "retry_policy"),
        ({}, "retry_policy"),
        ({"strategy": "never"}, "retry_policy"),
        ({"strategy": "fixed"}, "retry_policy.fixed.max_retries"),
        ({"strategy": "fixed", "max_retries": 51}, "retry_policy.fixed.max_retries"),
        ({"strategy": "linear", "max_retries": 1, "maxx": 1}, "retry_policy.linear.maxx"),
        (
            {"strategy": "exponential", "max_retries": 1, "max_seconds": 0},
            "retry_policy.exponential.max_seconds",
        ),
        ({"strategy": "schedule", "delays": [1, -1]}, "retry_policy.schedule.delays.1"),
        ({"strategy": "schedule", "delays": [0] * 51}, "retry_policy.schedule.delays"),
    ],
    ids=["number", "empty", "strategy", "missing", "many", "misspelt", "zero", "negative", "long"],
)
def test_a_bad_retry_policy_is_refused_by_its_field_wherever_it_is_set(
    hub: RunningHub, policy: Any, path: str
) -> None:
    create(hub, retry_policy=FIXED)
    hub.call("PATCH", SETTINGS, json={"retry_policy": FIXED})
    for method, where, rest in (
        ("POST", BASE, {"name": "other"}),
        ("PATCH", f"{BASE}/invoice.paid", {}),
        ("PATCH", SETTINGS, {}),
    ):
        answer = hub.call(method, where, json={**rest, "retry_policy": policy})
        assert (answer.status_code, list(faults(answer))) == (422, [path]), (method, where, answer.text)
    assert hub.call("GET", f"{BASE}/other").status_code == 404
    assert hub.call("GET", f"{BASE}/invoice.paid").json()["retry_policy"] == FIXED
    assert hub.call("GET", SETTINGS).json()["retry_policy"] == FIXED


@pytest.mark.parametrize("choice", ["off", None], ids=["unknown", "null"])
def test_a_bad_choice_of_settings_is_refused(hub: RunningHub, choice: str | None) -> None:
    answer = hub.call("PATCH", SETTINGS, json={"unknown_event_types": choice})
    assert (answer.status_code, list(faults(answer))) == (422, ["unknown_event_types"])
    assert "unknown_types" in faults(hub.call("PATCH", SETTINGS, json={"unknown_types": "warn"}))


def test_another_tenant_finds_nothing(hub: RunningHub) -> None:
    create(hub, schema=True)
    stranger, _ = hub.key(tenant=hub.new_tenant("globex"))
    for method, path, body in (
        ("GET", f"{BASE}/invoice.paid", None),
        ("PATCH", f"{BASE}/invoice.paid", {"title": "x"}),
        ("DELETE", f"{BASE}/invoice.paid", None),
        ("GET", f"{BASE}/invoice.paid/versions", None),
        ("GET", f"{BASE}/invoice.paid/versions/1", None),
        ("POST", f"{BASE}/invoice.paid/versions", {"schema": True}),
        ("POST", f"{BASE}/invoice.paid/validate", {"data": 1}),
    ):
        assert hub.call(method, path, key=stranger, json=body).status_code == 404, (method, path)
    assert hub.call("GET", BASE, key=stranger).json()["data"] == []
    assert hub.call("POST", BASE, key=stranger, json={"name": "invoice.paid"}).status_code == 201


def test_reading_and_writing_need_their_scopes(hub: RunningHub) -> None:
    create(hub, schema=True)
    reader, _ = hub.key(Scope.EVENT_TYPES_READ)
    writer, _ = hub.key(Scope.EVENT_TYPES_WRITE)
    neither, _ = hub.key(Scope.EVENTS_READ, Scope.EVENTS_WRITE, Scope.ENDPOINTS_WRITE)
    reads = [
        ("GET", BASE, None),
        ("GET", f"{BASE}/invoice.paid", None),
        ("GET", SETTINGS, None),
    ]
    reads += [("POST", f"{BASE}/invoice.paid/validate", {"data": 1})]  # type: ignore[list-item]
    writes = [("POST", BASE, {"name": "b"}), ("PATCH", f"{BASE}/invoice.paid", {"title": "x"})]
    writes += [("PATCH", SETTINGS, {"unknown_event_types": "warn"})]
    for method, path, body in reads:
        assert hub.call(method, path, key=reader, json=body).status_code == 200
        assert hub.call(method, path, key=writer, json=body).status_code == 403
        assert hub.call(method, path, key=neither, json=body).status_code == 403
    for method, path, sent in writes:
        assert hub.call(method, path, key=writer, json=sent).status_code in {200, 201}
        assert hub.call(method, path, key=reader, json=sent).status_code == 403
        assert hub.call(method, path, key=neither, json=sent).status_code == 403


def test_the_description_names_the_schema_as_it_is_sent(hub: RunningHub) -> None:
    document = hub.call("GET", "/openapi.json", key=None).json()
    assert {"name": "Event types"}.items() <= next(
        tag for tag in document["tags"] if tag["name"] == "Event types"
    ).items()
    for name in ("EventTypeCreate", "EventTypeDetail", "VersionCreate", "VersionDetail"):
        assert "schema" in document["components"]["schemas"][name]["properties"]
        assert "schema_" not in document["components"]["schemas"][name]["properties"]


# -- import -----------------------------------------------------------------------------------------------------------


def webhook(schema: Any) -> dict[str, Any]:
    return {
        "post": {
            "summary": "S",
            "tags": ["t"],
            "requestBody": {"content": {"application/json": {"schema": schema}}},
        }
    }


def import_(hub: RunningHub, webhooks: dict[str, Any], **fields: Any) -> Any:
    document = {
        "openapi": "3.1.0",
        "webhooks": webhooks,
        "components": {"schemas": {"Money": {"type": "integer"}}},
    }
    answer = hub.call("POST", f"{BASE}/import", json={"document": document, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_an_import_makes_adds_leaves_and_refuses(hub: RunningHub) -> None:
    same: dict[str, Any] = {"const": 1}
    old: dict[str, Any] = {"properties": {"a": {}}}
    create(hub, "is.same", schema=same)
    create(hub, "is.old", schema=old, title="Mine")
    create(hub, "is.archived")
    hub.call("DELETE", f"{BASE}/is.archived")
    webhooks = {
        "is.new": webhook({"properties": {"total": {"$ref": "#/components/schemas/Money"}}}),
        "is.same": webhook(same),
        "is.old": webhook({"properties": {}}),
        "is.archived": webhook(True),
        "is.bad": webhook({"properties": {"a": {"pattern": "(?=a)"}}}),
        "is.empty": {},
    }
    expected = ["created", "unchanged", "new_version", "refused", "refused", "refused"]
    tried = import_(hub, webhooks, dry_run=True, validation="enforce")
    assert [one["result"] for one in tried] == expected
    assert hub.call("GET", f"{BASE}/is.new").status_code == 404
    done = import_(hub, webhooks, validation="enforce")
    assert done == tried
    assert [one["version"] for one in done] == [1, 1, 2, None, None, None]
    assert done[2]["breaking_changes"] == [{"path": "data.a", "change": "property_removed"}]
    assert [one["errors"][0]["path"] for one in done[3:]] == [
        "name",
        "schema.properties.a.pattern",
        "document.webhooks.is.empty",
    ]
    new = hub.call("GET", f"{BASE}/is.new").json()
    assert (new["title"], new["labels"], new["validation"]) == ("S", ["t"], "enforce")
    assert new["schema"]["$defs"] == {"Money": {"type": "integer"}}
    assert hub.call("GET", f"{BASE}/is.old").json()["title"] == "Mine"
    assert [one["result"] for one in import_(hub, webhooks)] == [
        "unchanged",
        "unchanged",
        "unchanged",
        *expected[3:],
    ]


def test_a_document_without_webhooks_is_refused(hub: RunningHub) -> None:
    answer = hub.call("POST", f"{BASE}/import", json={"document": {"openapi": "3.1.0", "$schema": DIALECT}})
    assert answer.status_code == 422
    assert "document.webhooks" in faults(answer)
