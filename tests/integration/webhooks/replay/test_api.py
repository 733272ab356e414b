"""Replays as people ask for them and see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.access.principal import Principal
from hub.access.scopes import Scope
from hub.core.ids import Kind, format_id, new_uuid
from hub.queue.contracts import TaskName
from tests.integration.api.conftest import RunningHub, bell, hub, services, settings
from tests.integration.api.test_app import assert_problem
from tests.integration.webhooks.replay.past import NOWHERE, Past
from tests.integration.webhooks.world import World, running_world

__all__ = ["bell", "hub", "services", "settings"]


@pytest.fixture
def past(hub: RunningHub, database_url: str) -> Any:
    """Past of the served tenant."""
    with running_world(hub.services.engine, database_url, "unused") as world:
        world.caller = Principal(hub.tenant.id, new_uuid(), frozenset({Scope.ADMIN}))
        yield Past(World(world.engine, world.settings, world.caller, hub.services.vault, world.policy))


def ago(hours: float = 1) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


def body(kind: str = "failed", **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "since": ago(), **fields}


def create(hub: RunningHub, **fields: Any) -> Any:
    answer = hub.call("POST", "/v1/replays", json=body(**fields))
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_a_replay_is_asked_for_followed_and_listed(hub: RunningHub, past: Past) -> None:
    endpoint = past.world.endpoint(NOWHERE)
    past.events(3)
    public = format_id(Kind.ENDPOINT, endpoint)
    made = create(
        hub, endpoint=public, rate=10_000, event_types=["invoice.*"], filter={"type": "invoice.paid"}
    )
    assert (made["state"], made["endpoint"], made["states"]) == ("pending", public, ["failed"])
    assert (made["rate"], made["event_types"], made["filter"]) == (
        10_000,
        ["invoice.*"],
        {"type": "invoice.paid"},
    )
    assert (made["progress"], made["estimated_total"], made["started_at"]) == (0, None, None)
    assert hub.bell.rings == [TaskName.REPLAYS_RUN]
    path = f"/v1/replays/{made['id']}"
    assert hub.call("GET", path).json() == made | {
        "outcomes": {}, "outcomes_complete": True, "held_endpoints": 0,
    }  # fmt: skip
    past.run()
    done = hub.call("GET", path).json()
    assert (done["state"], done["scanned"], done["selected"], done["requeued"]) == ("done", 3, 3, 3)
    assert (done["progress"], done["estimated_total"], done["outcomes"]) == (1, 3, {"due": 3})
    assert done["worker"] == "bert"
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]
    second = create(hub)
    listed = hub.call("GET", "/v1/replays", params={"limit": 1}).json()
    assert [one["id"] for one in listed["data"]] == [second["id"]]
    rest = hub.call("GET", "/v1/replays", params={"cursor": listed["next_cursor"]}).json()
    assert [one["id"] for one in rest["data"]] == [made["id"]]
    assert rest["next_cursor"] is None


def test_the_default_rate_is_a_hundred_a_second(hub: RunningHub) -> None:
    assert create(hub)["rate"] == 100


def test_pause_resume_and_cancel(hub: RunningHub, past: Past) -> None:
    made = create(hub)
    path = f"/v1/replays/{made['id']}"
    assert hub.call("POST", f"{path}/pause").json()["state"] == "paused"
    assert past.runner().step() is None
    hub.bell.rings.clear()
    assert hub.call("POST", f"{path}/resume").json()["state"] == "pending"
    assert hub.bell.rings == [TaskName.REPLAYS_RUN]
    assert hub.call("POST", f"{path}/cancel").json()["state"] == "cancelled"
    assert_problem(hub.call("POST", f"{path}/resume"), 409, "conflict")


def test_a_dry_run_shows_counts_and_a_sample(hub: RunningHub, past: Past) -> None:
    endpoint = past.world.endpoint(NOWHERE)
    ids = past.events(25)
    answer = hub.call("POST", "/v1/replays", json=body(dry_run=True))
    assert answer.status_code == 200
    found = answer.json()
    public = format_id(Kind.ENDPOINT, endpoint)
    assert found["counts"] == [{"endpoint": public, "state": "failed", "count": 25}]
    assert (found["total"], found["scanned"], found["complete"], found["dry_run"]) == (25, 25, True, True)
    assert [one["event"] for one in found["sample"]] == [format_id(Kind.MESSAGE, one) for one in ids[:20]]
    assert found["sample"][0]["delivery"].startswith("dlv_")
    assert hub.call("GET", "/v1/replays").json()["data"] == []
    assert hub.bell.rings == []


def test_a_dry_run_that_would_take_long_says_that_it_was_stopped(
    hub: RunningHub, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.world.endpoint(NOWHERE)
    past.events(30)
    monkeypatch.setattr("hub.webhooks.replay.counting.MAX_SECONDS", 0.0)
    found = hub.call("POST", "/v1/replays", json=body(dry_run=True)).json()
    assert (found["complete"], found["total"]) == (False, 0)


def test_a_repeated_request_makes_one_job(hub: RunningHub) -> None:
    wanted = body()
    key = {"Idempotency-Key": "k1"}
    first = hub.call("POST", "/v1/replays", json=wanted, headers=key)
    again = hub.call("POST", "/v1/replays", json=wanted, headers=key)
    assert first.json() == again.json()
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = hub.call("POST", "/v1/replays", json=body(kind="all"), headers=key)
    assert_problem(other, 422, "idempotency_key_reused")
    assert len(hub.call("GET", "/v1/replays").json()["data"]) == 1


BAD: list[tuple[dict[str, Any], str]] = [
    ({"kind": "some"}, "kind"),
    ({"since": None}, "since"),
    ({"since": "yesterday"}, "since"),
    ({"since": "2026-01-01T00:00:00"}, "since"),
    ({"since": "2999-01-01T00:00:00Z"}, "since"),
    ({"since": ago(1), "until": ago(2)}, "since"),
    ({"rate": 0}, "rate"),
    ({"rate": -1}, "rate"),
    ({"rate": 10_001}, "rate"),
    ({"rate": "fast"}, "rate"),
    ({"endpoint": "msg_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e"}, "endpoint"),
    ({"endpoint": format_id(Kind.ENDPOINT, new_uuid())}, "endpoint"),
    ({"states": []}, "states"),
    ({"states": ["leased"]}, "states.0"),
    ({"states": ["done"]}, "states"),
    ({"kind": "missing", "states": ["failed"]}, "states"),
    ({"kind": "all", "response": ["5xx"]}, "response"),
    ({"kind": "filter"}, "kind"),
    ({"kind": "filter", "event_types": ["a b"]}, "event_types"),
    ({"kind": "filter", "labels": ["a b"]}, "labels"),
    ({"kind": "filter", "response": ["6xx"]}, "response"),
    ({"kind": "filter", "filter": {"data.n": {"$gt": []}}}, "filter.data.n.$gt"),
    ({"kind": "filter", "filter": {"$no": 1}}, "filter.$no"),
    ({"kind": "filter", "filter": "x"}, "filter"),
    ({"dryrun": True}, "dryrun"),
]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_wrong_field_is_named_and_nothing_is_written(
    hub: RunningHub, subtests: pytest.Subtests, dry_run: bool
) -> None:
    for fields, path in BAD:
        with subtests.test(repr(fields)[:60]):
            answer = hub.call("POST", "/v1/replays", json=body() | {"dry_run": dry_run} | fields)
            assert_problem(answer, 422, "invalid_input", path)
    assert hub.call("GET", "/v1/replays").json()["data"] == []
    assert hub.bell.rings == []


def test_a_time_that_ends_later_than_now_ends_now(hub: RunningHub) -> None:
    made = create(hub, until="2999-01-01T00:00:00Z", since="0001-01-01T00:00:00Z")
    assert made["until"] <= datetime.now(UTC).isoformat()
    assert made["since"] > "2000"


# -- whose it is ------------------------------------------------------------------------------------------------------


def test_what_belongs_to_another_tenant_does_not_exist(
    hub: RunningHub, past: Past, subtests: pytest.Subtests
) -> None:
    endpoint = past.world.endpoint(NOWHERE)
    (event,) = past.events(1)
    made = create(hub)
    key, _ = hub.key(tenant=hub.new_tenant("globex"))
    path = f"/v1/replays/{made['id']}"
    for method, where in [("GET", path), ("POST", f"{path}/pause"), ("POST", f"{path}/cancel")]:
        with subtests.test(where):
            assert_problem(hub.call(method, where, key=key), 404, "not_found")
    assert hub.call("GET", "/v1/replays", key=key).json()["data"] == []
    theirs = format_id(Kind.ENDPOINT, endpoint)
    assert_problem(
        hub.call("POST", "/v1/replays", key=key, json=body(endpoint=theirs)), 422, "invalid_input", "endpoint"
    )
    resend = f"/v1/events/{format_id(Kind.MESSAGE, event)}/resend"
    assert_problem(hub.call("POST", resend, key=key), 404, "not_found")
    for kind in ("failed", "missing", "all"):
        answer = hub.call("POST", "/v1/replays", key=key, json=body(kind, rate=10_000))
        assert answer.status_code == 202
    hub.call("POST", f"{path}/cancel")
    past.run()
    assert past.due() == []


def test_each_route_needs_its_scope(hub: RunningHub) -> None:
    reader, _ = hub.key(Scope.EVENTS_READ)
    writer, _ = hub.key(Scope.EVENTS_WRITE)
    assert_problem(hub.call("POST", "/v1/replays", key=reader, json=body()), 403, "forbidden")
    assert_problem(hub.call("GET", "/v1/replays", key=writer), 403, "forbidden")
    made = hub.call("POST", "/v1/replays", key=writer, json=body()).json()
    path = f"/v1/replays/{made['id']}"
    assert hub.call("GET", path, key=reader).status_code == 200
    assert_problem(hub.call("POST", f"{path}/cancel", key=reader), 403, "forbidden")


def test_ids_of_other_kinds_are_refused(hub: RunningHub) -> None:
    assert_problem(hub.call("GET", "/v1/replays/rpl_1"), 422, "invalid_input", "path.replay_id")
    missing = f"/v1/replays/{format_id(Kind.REPLAY, new_uuid())}"
    assert_problem(hub.call("GET", missing), 404, "not_found")


# -- one event --------------------------------------------------------------------------------------------------------


def test_one_event_goes_again_to_all_that_take_it_and_to_those_who_missed_it(
    hub: RunningHub, past: Past
) -> None:
    one = past.world.endpoint(NOWHERE, "one")
    past.world.endpoint(NOWHERE, "other", event_types=["b.x"])
    (event,) = past.events(1, state="done")
    two = past.world.endpoint(NOWHERE, "two")
    public = format_id(Kind.MESSAGE, event)
    answer = hub.call("POST", f"/v1/events/{public}/resend", headers={"Idempotency-Key": "r1"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["event"] == public
    assert len(answer.json()["deliveries"]) == 2
    assert past.due(one) == past.due(two) == [event]
    assert hub.bell.rings == [TaskName.DELIVERIES_SEND]
    again = hub.call("POST", f"/v1/events/{public}/resend", headers={"Idempotency-Key": "r1"})
    assert again.json() == answer.json()
    assert past.world.sql("SELECT count(*), max(replay_no) FROM hub.delivery") == [(2, 1)]


def test_one_event_goes_again_to_one_endpoint(hub: RunningHub, past: Past) -> None:
    one = past.world.endpoint(NOWHERE, "one")
    (event,) = past.events(1)
    two = past.world.endpoint(NOWHERE, "two")
    stranger = past.world.endpoint(NOWHERE, "stranger", event_types=["b.x"], filter=None)
    filtered = past.world.endpoint(NOWHERE, "filtered", filter={"data.n": 1})
    path = f"/v1/events/{format_id(Kind.MESSAGE, event)}/resend"
    for wanted in (two, one):
        answer = hub.call("POST", path, json={"endpoint": format_id(Kind.ENDPOINT, wanted)})
        assert answer.status_code == 202, answer.text
        assert past.due(wanted) == [event]
    for refused in (stranger, filtered):
        answer = hub.call("POST", path, json={"endpoint": format_id(Kind.ENDPOINT, refused)})
        assert_problem(answer, 409, "conflict")
    # It had the event before it subscribed to something else: a person may send it again.
    past.world.sql("UPDATE hub.delivery SET state = 'done' WHERE endpoint_id = :one", one=one)
    past.world.change(one, event_types=["b.x"])
    assert hub.call("POST", path, json={"endpoint": format_id(Kind.ENDPOINT, one)}).status_code == 202
    unknown = hub.call("POST", path, json={"endpoint": format_id(Kind.ENDPOINT, new_uuid())})
    assert_problem(unknown, 422, "invalid_input", "endpoint")
    assert_problem(hub.call("POST", path, json={"endpoint": "x"}), 422, "invalid_input", "endpoint")


def test_an_event_that_is_on_its_way_or_must_not_go_is_not_sent_again(hub: RunningHub, past: Past) -> None:
    past.world.endpoint(NOWHERE)
    waiting = past.world.publish("{}", deliver_at=datetime.now(UTC) + timedelta(hours=1))[0].id
    assert_problem(hub.call("POST", f"/v1/events/{waiting}/resend"), 409, "conflict")
    (refused,) = past.events(1)
    past.world.sql("UPDATE hub.message SET reason = 'schema_invalid' WHERE id = :id", id=refused)
    path = f"/v1/events/{format_id(Kind.MESSAGE, refused)}/resend"
    assert_problem(hub.call("POST", path), 409, "conflict")
    nobody = f"/v1/events/{format_id(Kind.MESSAGE, new_uuid())}/resend"
    assert_problem(hub.call("POST", nobody), 404, "not_found")


def test_an_event_for_very_many_endpoints_is_a_matter_for_a_replay(
    hub: RunningHub, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.webhooks.replay.jobs.MAX_AT_ONCE", 2)
    for n in range(3):
        past.world.endpoint(NOWHERE, f"e{n}")
    (event,) = past.events(1)
    assert_problem(hub.call("POST", f"/v1/events/{format_id(Kind.MESSAGE, event)}/resend"), 409, "conflict")
    assert past.due() == []
