"""Operations at times of the clock."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.core.ids import Kind, parse_id
from hub.integrations.executions import portions
from hub.integrations.executions.schedule_store import lock_due
from hub.integrations.executions.starting import start_due
from hub.integrations.executions.store import insert_executions
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.test_executing import seconds_until
from tests.integration.integrations.world import World

GIVEN = {"operation": "get_user", "input": {"path": {"id": 7}}}


def create(world: World, made: dict[str, Any], **fields: Any) -> dict[str, Any]:
    body = {"name": "nightly", **GIVEN, **fields}
    answer = world.call("POST", f"/integrations/{made['id']}/schedules", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def moment(world: World, schedule: dict[str, Any], seconds_ago: float) -> datetime:
    """Its next moment was so long ago."""
    (row,) = world.sql(
        "UPDATE hub.execution_schedule SET next_at = now() - make_interval(secs => :ago) WHERE id = :id RETURNING next_at",
        ago=seconds_ago, id=parse_id(Kind.SCHEDULE, schedule["id"]),
    )  # fmt: skip
    at: datetime = row.next_at
    return at


def start(world: World) -> list[str]:
    with world.engine.begin() as conn:
        return start_due(conn)


def read(world: World, schedule: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = world.call("GET", f"/schedules/{schedule['id']}").json()
    return found


def test_a_schedule_starts_what_it_says(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    schedule = create(world, made, every_seconds=3600)
    assert 3590 < seconds_until(schedule["next_at"]) <= 3600
    assert start(world) == []
    moment(world, schedule, 0)
    (execution,) = start(world)
    world.run_executions()
    detail = world.read(execution)
    assert (detail["state"], detail["source"], detail["schedule"]) == ("done", "schedule", schedule["id"])
    assert detail["caller"] == world.call("GET", "/me").json()["key_id"]
    assert detail["trace_id"]
    assert read(world, schedule)["last_execution"] == execution
    listed = world.call("GET", "/executions", params={"schedule": schedule["id"]}).json()["data"]
    assert [one["id"] for one in listed] == [execution]


def test_missed_moments_are_started_once_and_an_interval_does_not_drift(
    world: World, provider: Provider
) -> None:
    made = world.create(provider.url)
    schedule = create(world, made, every_seconds=60)
    at = moment(world, schedule, 3 * 60 + 25)
    assert len(start(world)) == 1
    now = read(world, schedule)
    assert datetime.fromisoformat(now["next_at"]) == at + timedelta(seconds=240)
    assert datetime.fromisoformat(now["last_at"]) == at
    assert start(world) == []


def test_one_that_has_not_finished_is_skipped_or_joined(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    skip = create(world, made, name="skip", every_seconds=60)
    allow = create(world, made, name="allow", every_seconds=60, overlap="allow")
    for _ in range(2):
        moment(world, skip, 1)
        moment(world, allow, 1)
        start(world)
    sources = world.sql("SELECT schedule_id, count(*) AS n FROM hub.execution GROUP BY 1")
    assert {row.schedule_id.hex: row.n for row in sources} == {
        parse_id(Kind.SCHEDULE, skip["id"]).hex: 1,
        parse_id(Kind.SCHEDULE, allow["id"]).hex: 2,
    }
    # What was passed over has moved on.
    assert seconds_until(read(world, skip)["next_at"]) > 50
    # What waits for a person must not stop the clock.
    world.sql("UPDATE hub.execution SET state = 'held', reason = 'quarantined' WHERE state = 'due'")
    moment(world, skip, 1)
    assert len(start(world)) == 1
    world.run_executions()
    moment(world, skip, 1)
    assert len(start(world)) == 1


def test_two_beats_at_once_start_one(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    schedules = [create(world, made, name=f"s{n}", every_seconds=60, overlap="allow") for n in range(20)]
    world.sql("UPDATE hub.execution_schedule SET next_at = now()")
    barrier, started = threading.Barrier(4), []

    def beat() -> None:
        with world.engine.begin() as conn:
            barrier.wait(10)
            found = start_due(conn)
        started.extend(found)

    threads = [threading.Thread(target=beat) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(started) == len(set(started)) == len(schedules)
    assert world.sql("SELECT count(DISTINCT schedule_id), count(*) FROM hub.execution")[0] == (20, 20)


def test_a_paused_schedule_rests_and_goes_on_from_now(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    schedule = create(world, made, every_seconds=600)
    path = f"/schedules/{schedule['id']}"
    paused = world.call("PATCH", path, json={"paused": True})
    assert (paused.json()["paused"], paused.json()["next_at"]) == (True, None)
    world.call("PATCH", path, json={"every_seconds": 60})
    assert read(world, schedule)["next_at"] is None
    assert start(world) == []
    going = world.call("PATCH", path, json={"paused": False}).json()
    assert 50 < seconds_until(going["next_at"]) <= 60
    # Its name does not move its moment; another time of the clock does.
    named = world.call("PATCH", path, json={"name": "renamed"}).json()
    assert named["next_at"] == going["next_at"]
    timed = world.call("PATCH", path, json={"cron": "0 0 1 1 *"}).json()
    assert (timed["cron"], timed["every_seconds"]) == ("0 0 1 1 *", None)
    assert datetime.fromisoformat(timed["next_at"]).astimezone(UTC).strftime("%m-%d %H:%M") == "01-01 00:00"
    back = world.call("PATCH", path, json={"every_seconds": 60}).json()
    assert (back["cron"], back["every_seconds"]) == (None, 60)


def test_an_integration_that_is_not_active_holds_what_was_started(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    schedule = create(world, made, every_seconds=60)
    world.call("PATCH", f"/integrations/{made['id']}", json={"status": "maintenance"})
    moment(world, schedule, 1)
    (execution,) = start(world)
    world.run_executions()
    assert world.read(execution)["state"] == "held"
    moment(world, schedule, 1)
    assert start(world) == []
    world.call("PATCH", f"/integrations/{made['id']}", json={"status": "active"})
    world.run_executions()
    assert world.read(execution)["state"] == "done"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "cron"),
        ({"cron": "0 0 * * *", "every_seconds": 60}, "cron"),
        ({"cron": "0 0 * *"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "61 0 * * *"}, "cron"),
        ({"cron": "* * * * * *"}, "cron"),
        ({"cron": "0 0 * * *", "timezone": "Mars/Olympus"}, "timezone"),
        ({"cron": "0 0 * * *", "timezone": "../../etc/passwd"}, "timezone"),
        ({"cron": "0 0 * * *", "timezone": "Europe"}, "timezone"),
        ({"every_seconds": 0.5}, "every_seconds"),
        ({"every_seconds": 60, "overlap": "maybe"}, "overlap"),
        ({"every_seconds": 60, "operation": "nope"}, "operation"),
        ({"every_seconds": 60, "input": {"path": {}}}, "input.path.id"),
    ],
    ids=str,
)
def test_a_schedule_that_is_wrong_is_refused(
    world: World, provider: Provider, fields: dict[str, Any], path: str
) -> None:
    made = world.create(provider.url)
    body = {"name": "nightly", **GIVEN, **fields}
    answer = world.call("POST", f"/integrations/{made['id']}/schedules", json=body)
    assert answer.status_code == 422, answer.text
    assert path in {error["path"] for error in answer.json()["errors"]}
    assert not world.sql("SELECT 1 FROM hub.execution_schedule")


def test_schedules_are_named_once_listed_guarded_and_deleted(world: World, provider: Provider) -> None:
    made, other = world.create(provider.url), world.create(provider.url, name="other")
    first, second = create(world, made, every_seconds=60), create(world, other, name="b", every_seconds=60)
    taken = world.call(
        "POST",
        f"/integrations/{other['id']}/schedules",
        json={"name": "nightly", **GIVEN, "every_seconds": 60},
    )
    assert taken.status_code == 409
    assert world.call("PATCH", f"/schedules/{second['id']}", json={"name": "nightly"}).status_code == 409
    listed = world.call("GET", "/schedules").json()["data"]
    assert [one["id"] for one in listed] == [second["id"], first["id"]]
    only = world.call("GET", "/schedules", params={"integration": made["id"]}).json()["data"]
    assert [one["id"] for one in only] == [first["id"]]
    path = f"/schedules/{first['id']}"
    world.call("PATCH", path, json={"paused": True})
    assert world.call("PATCH", path, json={"paused": False}, headers={"If-Match": '"1"'}).status_code == 412
    stranger = world.other_key(tenant="globex")
    for method in ("GET", "PATCH", "DELETE"):
        assert world.call(method, path, key=stranger, json={}).status_code == 404
    assert world.call("DELETE", path).status_code == 204
    assert world.call("GET", path).status_code == 404
    # With the integration go its schedules.
    world.call("DELETE", f"/integrations/{other['id']}")
    assert world.call("GET", f"/schedules/{second['id']}").status_code == 404
    actions = [
        one["action"] for one in world.call("GET", "/audit", params={"subject": first["id"]}).json()["data"]
    ]
    assert actions == ["schedule.deleted", "schedule.changed", "schedule.created"]


# -- many and large ---------------------------------------------------------------------------------------------------


def multiply(world: World, count: int) -> None:
    """So many more like the only one."""
    columns = ", ".join(
        row.attname
        for row in world.sql(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'hub.execution_schedule'::regclass AND attnum > 0"
            " AND NOT attisdropped AND attname NOT IN ('id', 'name')"
        )
    )
    world.sql(
        f"INSERT INTO hub.execution_schedule (id, name, {columns}) SELECT hub.uuid7(), name || n, {columns}"
        " FROM hub.execution_schedule, generate_series(1, :count) AS n",
        count=count,
    )


def test_large_inputs_are_started_in_transactions_of_so_many_bytes(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.create(provider.url)
    given = {"body": {"name": "ü" * 33_000}}
    create(world, made, every_seconds=3600, operation="make_user", input=given)
    multiply(world, 99)
    world.sql("UPDATE hub.execution_schedule SET next_at = now()")
    statements: list[int] = []

    def insert(conn: Any, tenant_id: Any, source: str, rows: Any) -> Any:
        statements.append(sum(len(row.input.encode()) for row in rows))
        return insert_executions(conn, tenant_id, source, rows)

    monkeypatch.setattr(portions, "insert_executions", insert)
    started = []
    while some := start(world):
        started.append(len(some))
    assert (sum(started), len(started)) == (100, 2)
    assert len(statements) == 3
    assert max(statements) <= 8 * 1_048_576
    assert world.sql("SELECT count(DISTINCT schedule_id), count(*) FROM hub.execution")[0] == (100, 100)
    # What is stored is what was given.
    stored = world.sql("SELECT DISTINCT input::jsonb AS input FROM hub.execution")
    assert [row.input for row in stored] == [given]


def test_one_that_is_larger_than_a_transaction_may_be_starts_alone(world: World, provider: Provider) -> None:
    create(world, world.create(provider.url), every_seconds=60)
    multiply(world, 1)
    world.sql(
        "UPDATE hub.execution_schedule SET next_at = now() - interval '1 second' WHERE name = 'nightly'"
    )
    world.sql("UPDATE hub.execution_schedule SET next_at = now() WHERE name <> 'nightly'")
    with world.engine.begin() as conn:
        assert len(lock_due(conn, limit=10, max_bytes=1)) == 1


def test_a_tenant_has_so_many_schedules_and_no_more(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    create(world, made, every_seconds=60)
    multiply(world, 999)
    body = {"name": "one more", **GIVEN, "every_seconds": 60}
    path = f"/integrations/{made['id']}/schedules"
    answer = world.call("POST", path, json=body)
    assert (answer.status_code, "1,000 schedules" in answer.json()["detail"]) == (409, True)
    # Those of others are their own.
    stranger = world.other_key(tenant="globex")
    theirs = world.call(
        "POST",
        "/integrations",
        key=stranger,
        json={"name": "p", "base_url": provider.url, "operations": {"get_user": {"path": "/users/{id}"}}},
    ).json()
    assert (
        world.call("POST", f"/integrations/{theirs['id']}/schedules", key=stranger, json=body).status_code
        == 201
    )
    world.call("DELETE", f"/schedules/{world.call('GET', '/schedules').json()['data'][0]['id']}")
    assert world.call("POST", path, json=body).status_code == 201
