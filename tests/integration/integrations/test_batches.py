"""Many operations at once: accepted whole or not at all, and how far they are."""

from __future__ import annotations

import uuid
from typing import Any

from hub.core.ids import Kind, format_id
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World


def ask(world: World, made: dict[str, Any], items: list[dict[str, Any]], **options: Any) -> Any:
    return world.call("POST", f"/integrations/{made['id']}/execute-batch", json={"items": items}, **options)


def test_a_thousand_operations_and_how_far_they_are(world: World, provider: Provider) -> None:
    provider.default = lambda call: Answer(400 if call.path.endswith("7") else 200)
    made = world.create(provider.url)
    items: list[dict[str, Any]] = [
        {"operation": "get_user", "input": {"path": {"id": n}}, "user": f"u{n % 3}"} for n in range(999)
    ]
    items.append({"operation": "make_user", "input": {"body": {}}, "not_before": "2999-01-01T00:00:00+01:00"})
    answer = ask(world, made, items)
    assert answer.status_code == 202, answer.text
    batch, entries = answer.json()["id"], answer.json()["data"]
    assert len(entries) == 1000

    path = f"/execution-batches/{batch}"
    before = world.call("GET", path).json()
    assert before == {"id": batch, "total": 1000, "finished": 0, "states": {"due": 1000}}
    world.run_executions()
    after = world.call("GET", path).json()
    assert after == {
        "id": batch,
        "total": 1000,
        "finished": 999,
        "states": {"due": 1, "done": 899, "failed": 100},
    }

    seen: list[str] = []
    query: dict[str, Any] = {"batch": batch, "limit": 250}
    while True:
        page = world.call("GET", "/executions", params=query).json()
        seen += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    # In their order, newest first.
    assert seen == [one["id"] for one in entries][::-1]
    only = world.call(
        "GET", "/executions", params={"batch": batch, "state": "failed", "user": "u1", "limit": 250}
    )
    assert len(only.json()["data"]) == sum(n % 10 == 7 and n % 3 == 1 for n in range(999))
    assert {one["batch"] for one in only.json()["data"]} == {batch}


def test_one_that_is_wrong_refuses_them_all_and_every_fault_is_told(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    good = {"operation": "get_user", "input": {"path": {"id": 1}}}
    answer = ask(
        world,
        made,
        [
            good,
            {"operation": "get_user", "input": {"path": {"id": ".."}, "colour": 1}},
            {"operation": "nope"},
            {**good, "not_before": "2026-01-01T00:00:00"},
        ],
    )
    assert answer.status_code == 422
    assert "items.3.not_before" in answer.text
    answer = ask(
        world,
        made,
        [good, {"operation": "get_user", "input": {"path": {"id": ".."}, "colour": 1}}, {"operation": "no"}],
    )
    assert {error["path"] for error in answer.json()["errors"]} == {
        "items.1.input.path.id", "items.1.input.colour", "items.2.operation",
    }  # fmt: skip
    for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        told = ask(world, made, [{**good, "not_before": moment}])
        assert told.json()["errors"][0]["path"] == "items.0.not_before"
    for bad in ([], [good] * 1001):
        assert ask(world, made, bad).status_code == 422
    assert not world.sql("SELECT 1 FROM hub.execution")


def test_a_batch_is_its_tenants_and_must_be_there(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    batch = ask(world, made, [{"operation": "get_user", "input": {"path": {"id": 1}}}]).json()["id"]
    stranger = world.other_key(tenant="globex")
    assert world.call("GET", f"/execution-batches/{batch}", key=stranger).status_code == 404
    for missing in (
        format_id(Kind.BATCH, uuid.UUID(int=0)),
        format_id(Kind.BATCH, uuid.UUID(int=2**128 - 1)),
    ):
        assert world.call("GET", f"/execution-batches/{missing}").status_code == 404
    assert world.call("GET", "/execution-batches/bat_1").status_code == 422
