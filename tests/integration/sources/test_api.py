"""Sources and what came to them, as people see and change them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.access.scopes import Scope
from hub.core.ids import Kind, format_id, new_uuid
from tests.integration.api.conftest import RunningHub
from tests.integration.api.test_app import assert_problem
from tests.integration.sources.provider import SECRET, Sources, github

GITHUB = {"profile": "github"}


def test_a_source_is_made_read_listed_changed_and_deleted(sources: Sources, hub: RunningHub) -> None:
    made = sources.create(description="ours", metadata={"team": "a"}, ip_allow_list=["127.0.0.1"])
    assert made["url"] == f"{hub.url}/in/{made['id']}"
    assert made["event_type"] == "{name}.{provider_type}"
    assert made["response"] == {"status": 200, "body": "", "content_type": "text/plain; charset=utf-8"}
    assert [one["expires_at"] for one in made["secrets"]] == [None]
    path = f"/v1/sources/{made['id']}"
    assert hub.call("GET", path).json() == made
    assert hub.call("GET", "/v1/sources").json() == {"data": [made], "next_cursor": None}
    changed = sources.change(made, status="paused", name="renamed", ip_allow_list=[])
    assert (changed["status"], changed["name"], changed["ip_allow_list"]) == ("paused", "renamed", [])
    assert (changed["description"], changed["secrets"], changed["version"]) == ("ours", made["secrets"], 2)
    assert hub.call("DELETE", path).status_code == 204
    assert_problem(hub.call("GET", path), 404, "not_found")
    assert_problem(hub.call("DELETE", path), 404, "not_found")
    assert sources.sql("SELECT count(*) FROM hub.secret WHERE kind = 'source'") == [(0,)]


def test_a_part_of_an_answer_is_changed_into_a_whole_one(sources: Sources, hub: RunningHub) -> None:
    source = sources.create()
    changed = sources.change(source, response={"status": 202})
    assert changed["response"] == {**source["response"], "status": 202}
    assert sources.send(source, b"{}").status_code == 202


def test_secrets_are_never_shown(sources: Sources, hub: RunningHub) -> None:
    source = sources.create()
    sources.send(source, b"{}")
    shown = [
        json.dumps(source),
        hub.call("GET", "/v1/sources").text,
        json.dumps(sources.request(source, sources.requests(source)[0]["id"])),
        str(sources.sql("SELECT s::text, v::text FROM hub.source s, hub.secret v")),
    ]
    assert not [text for text in shown if SECRET in text]


def test_short_secrets_are_told_apart_without_giving_them_away(hub: RunningHub) -> None:
    body = {
        "name": "one",
        "verifier": GITHUB,
        "secrets": ["hunter2", "hunter3", "a secret that is long enough"],
    }
    shown = hub.call("POST", "/v1/sources", json=body).json()["secrets"]
    assert len({one["id"] for one in shown}) == 3
    assert all(one["id"].startswith("sec_") and one["created_at"] for one in shown)
    assert [(one["last4"], bool(one["fingerprint"])) for one in shown] == [("", False)] * 2 + [("ough", True)]


def test_a_source_that_accepts_nothing_for_want_of_a_secret_says_so(
    hub: RunningHub,
) -> None:
    made = hub.call("POST", "/v1/sources", json={"name": "later", "verifier": GITHUB}).json()
    path = f"/v1/sources/{made['id']}"
    assert "no secret" in made["warning"]
    assert "rotate" in made["warning"]
    assert hub.call("GET", path).json() == made
    assert hub.call("GET", "/v1/sources").json()["data"] == [made]
    given = hub.call("POST", f"{path}/rotate", json={"secret": SECRET}).json()
    assert (given["warning"], len(given["secrets"])) == (None, 1)
    open_to_all = {"name": "open", "verifier": {"profile": "none"}}
    assert hub.call("POST", "/v1/sources", json=open_to_all).json()["warning"] is None


def test_pages_join_into_the_whole_list_newest_first(sources: Sources, hub: RunningHub) -> None:
    ids = [sources.create(f"s{n}")["id"] for n in range(5)]
    seen: list[str] = []
    cursor = None
    while cursor is not None or not seen:
        page = hub.call("GET", "/v1/sources", params={"limit": 2, "cursor": cursor}).json()
        seen += [one["id"] for one in page["data"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]


def test_a_name_is_taken_once_in_a_tenant(sources: Sources, hub: RunningHub) -> None:
    sources.create("one")
    other = sources.create("two")
    body = {"name": "one", "verifier": GITHUB, "secrets": ["another-secret"]}
    assert_problem(hub.call("POST", "/v1/sources", json=body), 409, "conflict", "name")
    assert_problem(
        hub.call("PATCH", f"/v1/sources/{other['id']}", json={"name": "one"}), 409, "conflict", "name"
    )
    assert sources.sql("SELECT count(*) FROM hub.secret WHERE kind = 'source'") == [(2,)]
    key, _ = hub.key(Scope.SOURCES_WRITE, tenant=hub.new_tenant("globex"))
    sources.create("one", key=key)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": "has space"}, "name"),
    ({"name": "dotted.name"}, "name"),
    ({"name": ""}, "name"),
    ({"verifier": {"profile": "nobody"}}, "verifier.profile"),
    ({"verifier": {"profile": "github", "tolerance": 1}}, "verifier.tolerance"),
    ({"verifier": "github"}, "verifier"),
    ({"verifier": {"profile": "custom", "header": "X", "template": "x" * 17_000}}, "verifier"),
    ({"event_type": "{who}"}, "event_type"),
    ({"event_type": "a b"}, "event_type"),
    ({"ip_allow_list": ["10.0.0.0/8", "10.0.0.1/8"]}, "ip_allow_list.1"),
    ({"dedupe_window_seconds": -1}, "dedupe_window_seconds"),
    ({"dedupe_by": "luck"}, "dedupe_by"),
    ({"response": {"status": 302}}, "response.status"),
    ({"response": {"status": 204, "body": "x"}}, "response"),
    ({"response": {"content_type": "a\r\nb"}}, "response.content_type"),
    ({"metadata": {"a": 1}}, "metadata.a"),
    ({"colour": "red"}, "colour"),
]


def test_a_wrong_field_is_named_and_nothing_is_written(
    sources: Sources, hub: RunningHub, subtests: pytest.Subtests
) -> None:
    for fields, path in BAD:
        with subtests.test(repr(fields)[:80]):
            body = {"name": "x", "verifier": GITHUB, "secrets": ["a-long-enough-secret"]} | fields
            assert_problem(hub.call("POST", "/v1/sources", json=body), 422, "invalid_input", path)
    for secrets in ([""], ["x"] * 11, ["x" * 9_000], "text"):
        body = {"name": "x", "verifier": GITHUB, "secrets": secrets}
        answer = hub.call("POST", "/v1/sources", json=body)
        assert_problem(answer, 422, "invalid_input")
        assert "xxx" not in answer.text
    assert sources.sql("SELECT (SELECT count(*) FROM hub.source), (SELECT count(*) FROM hub.secret)") == [
        (0, 0)
    ]
    source = sources.create()
    for fields, path in BAD:
        with subtests.test(f"change {fields!r}"[:80]):
            answer = hub.call("PATCH", f"/v1/sources/{source['id']}", json=fields)
            assert_problem(answer, 422, "invalid_input", path)
    for name in ("name", "verifier", "status", "response"):
        answer = hub.call("PATCH", f"/v1/sources/{source['id']}", json={name: None})
        assert_problem(answer, 422, "invalid_input", name)
    assert hub.call("GET", f"/v1/sources/{source['id']}").json() == source


def test_an_overlap_is_at_most_a_week(sources: Sources, hub: RunningHub) -> None:
    source = sources.create()
    for body, path in (
        ({"secret": "x", "overlap_seconds": 7 * 86_400 + 1}, "overlap_seconds"),
        ({"secret": "x", "overlap_seconds": -1}, "overlap_seconds"),
        ({"secret": ""}, "secret"),
        ({}, "secret"),
    ):
        assert_problem(
            hub.call("POST", f"/v1/sources/{source['id']}/rotate", json=body), 422, "invalid_input", path
        )
    assert len(hub.call("GET", f"/v1/sources/{source['id']}").json()["secrets"]) == 1


def test_profiles_are_listed_with_what_each_needs(hub: RunningHub) -> None:
    found = {one["name"]: one for one in hub.call("GET", "/v1/source-profiles").json()["data"]}
    assert {"github", "stripe", "slack", "custom"} <= found.keys()
    assert found["twilio"]["needs_url"] is True
    assert found["github"]["docs"].startswith("https://")


# -- whose it is ------------------------------------------------------------------------------------------------------


def test_what_belongs_to_another_tenant_does_not_exist(
    sources: Sources, hub: RunningHub, subtests: pytest.Subtests
) -> None:
    source = sources.create()
    sources.send(source, b"{}", {})
    request = sources.requests(source)[0]["id"]
    stranger, _ = hub.key(tenant=hub.new_tenant("globex"))
    path = f"/v1/sources/{source['id']}"
    for method, route, body in (
        ("GET", path, None),
        ("PATCH", path, {"status": "paused"}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate", {"secret": "mine-now-canary"}),
        ("GET", f"{path}/requests", None),
        ("GET", f"{path}/requests/{request}", None),
        ("POST", f"{path}/requests/{request}/replay", None),
    ):
        with subtests.test(f"{method} {route}"):
            assert_problem(hub.call(method, route, json=body, key=stranger), 404, "not_found")
    assert hub.call("GET", "/v1/sources", key=stranger).json()["data"] == []
    assert hub.call("GET", path).json() == source
    # Nor is a request of one source one of another.
    other = sources.create("other")
    assert_problem(hub.call("GET", f"/v1/sources/{other['id']}/requests/{request}"), 404, "not_found")
    assert_problem(hub.call("POST", f"/v1/sources/{other['id']}/requests/{request}/replay"), 404, "not_found")


def test_every_route_asks_for_its_scope(sources: Sources, hub: RunningHub, subtests: pytest.Subtests) -> None:
    source = sources.create()
    path = f"/v1/sources/{source['id']}"
    request = f"{path}/requests/{format_id(Kind.RECEIPT, new_uuid())}"
    reader, _ = hub.key(Scope.SOURCES_READ)
    writer, _ = hub.key(Scope.SOURCES_WRITE)
    for method, route, allowed, refused in (
        ("GET", "/v1/sources", reader, writer),
        ("GET", path, reader, writer),
        ("GET", f"{path}/requests", reader, writer),
        ("GET", request, reader, writer),
        ("GET", "/v1/source-profiles", reader, writer),
        ("POST", "/v1/sources", writer, reader),
        ("PATCH", path, writer, reader),
        ("POST", f"{path}/rotate", writer, reader),
        ("POST", f"{request}/replay", writer, reader),
        ("DELETE", path, writer, reader),
    ):
        with subtests.test(f"{method} {route}"):
            body: dict[str, Any] | None = None if method in {"GET", "DELETE"} else {}
            assert_problem(hub.call(method, route, key=refused, json=body), 403, "forbidden")
            assert_problem(hub.call(method, route, key=None, json=body), 401, "unauthenticated")
            assert hub.call(method, route, key=allowed, json=body).status_code not in {401, 403}


# -- the inspector ----------------------------------------------------------------------------------------------------


def test_requests_are_paged_and_filtered(sources: Sources, hub: RunningHub) -> None:
    source = sources.create()
    for n in range(3):
        sources.send(source, b"{}", github(b"{}", delivery=str(n)))
        sources.send(source, b"{}", {})
    assert [one["outcome"] for one in sources.requests(source)] == ["rejected", "accepted"] * 3
    for outcome in ("accepted", "rejected"):
        whole = sources.requests(source, outcome=outcome)
        assert [one["outcome"] for one in whole] == [outcome] * 3
        path = f"/v1/sources/{source['id']}/requests"
        page = hub.call("GET", path, params={"outcome": outcome, "limit": 2}).json()
        rest = hub.call("GET", path, params={"outcome": outcome, "cursor": page["next_cursor"]}).json()
        assert page["data"] + rest["data"] == whole
    assert_problem(
        hub.call("GET", f"/v1/sources/{source['id']}/requests?outcome=good"),
        422,
        "invalid_input",
        "query.outcome",
    )
    missing = format_id(Kind.RECEIPT, new_uuid())
    assert_problem(hub.call("GET", f"/v1/sources/{source['id']}/requests/{missing}"), 404, "not_found")
    assert_problem(
        hub.call("GET", f"/v1/sources/{source['id']}/requests/x"), 422, "invalid_input", "path.request_id"
    )
