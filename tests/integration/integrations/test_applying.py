"""Declared definitions: what is declared becomes what is, all of it or nothing, and the same again changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hub.access.scopes import Scope
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World

CANARY = "canary-91c4e0aa-secret-value"


def apply(world: World, *documents: Any, dry_run: bool = False, status: int = 200) -> Any:
    answer = world.call(
        "POST",
        "/integrations/apply" + ("?dry_run=true" if dry_run else ""),
        json={"integrations": list(documents)},
    )
    assert answer.status_code == status, answer.text
    assert CANARY not in answer.text
    return answer.json()


def crm(provider: Provider, **fields: Any) -> dict[str, Any]:
    return {
        "name": "crm",
        "base_url": provider.url,
        "auth": {"mode": "bearer", "token": CANARY},
        "operations": {
            "get_user": {"path": "/users/{id}", "input_schema": {"properties": {"n": {"const": 1}}}},
        },
        "timeout_seconds": 0.12345,
        "tags": ["sales"],
        **fields,
    }


def actions(applied: Any) -> list[str]:
    return [one["action"] for one in applied["data"]]


def test_the_same_again_changes_nothing(world: World, provider: Provider) -> None:
    planned = apply(world, crm(provider), dry_run=True)
    assert (planned["dry_run"], actions(planned)) == (True, ["create"])
    assert not world.sql("SELECT 1 FROM hub.integration")

    first = apply(world, crm(provider), {"name": "erp", "base_url": provider.url + "/erp/"})
    assert actions(first) == ["create", "create"]
    assert first["data"][0]["secrets"] == ["token"]
    versions = world.sql("SELECT name, version FROM hub.integration ORDER BY name")
    for _ in range(2):
        again = apply(world, crm(provider), {"name": "erp", "base_url": provider.url + "/erp/"})
        assert actions(again) == ["none", "none"]
        without = crm(provider, auth={"mode": "bearer"})
        assert actions(apply(world, without)) == ["none"]
    assert world.sql("SELECT name, version FROM hub.integration ORDER BY name") == versions
    assert {row.version for row in versions} == {1}


def test_what_changes_is_shown_before_and_after(world: World, provider: Provider) -> None:
    apply(world, crm(provider))
    wanted = crm(
        provider,
        tags=["sales", "eu"],
        operations={
            "get_user": {"path": "/users/{id}", "input_schema": {"properties": {"n": {"const": True}}}}
        },
        auth={"mode": "bearer", "token": "another-secret-token"},
    )
    planned = apply(world, wanted, dry_run=True)["data"][0]
    assert (planned["action"], planned["secrets"]) == ("update", ["token"])
    assert {one["path"]: (one["before"], one["after"]) for one in planned["changes"]} == {
        "tags": (["sales"], ["sales", "eu"]),
        # 1 and true are two things, as JSON has it.
        "operations.get_user.input_schema.properties.n.const": (1, True),
    }
    assert apply(world, wanted)["data"][0] == planned
    assert actions(apply(world, wanted)) == ["none"]
    world.call("POST", f"/integrations/{_id(world)}/test", json={})
    assert provider.calls[-1].headers["authorization"] == "Bearer another-secret-token"


def test_what_a_document_leaves_out_has_its_default(world: World, provider: Provider) -> None:
    apply(world, crm(provider, status="inactive", rate_limit={"limits": [{"limit": 5}]}))
    applied = apply(world, {"name": "crm", "base_url": provider.url})["data"][0]
    assert applied["action"] == "update"
    now = world.call("GET", f"/integrations/{_id(world)}").json()
    assert (now["status"], now["tags"], now["auth"]) == ("active", [], {"mode": "none"})
    assert now["rate_limit"]["limits"] == []
    assert world.sql("SELECT count(*) FROM hub.secret")[0][0] == 0


def test_one_bad_document_of_many_and_nothing_is_saved(world: World, provider: Provider) -> None:
    apply(world, crm(provider))
    before = world.sql("SELECT to_jsonb(i)::text FROM hub.integration i")
    problem = apply(
        world,
        crm(provider, tags=["changed"]),
        {"name": "new", "base_url": provider.url},
        {"name": "bad", "base_url": "http://10.0.0.1", "colour": 1},
        {"base_url": provider.url},
        {"name": "new", "base_url": provider.url},
        status=422,
    )
    paths = {error["path"] for error in problem["errors"]}
    assert paths == {
        "integrations.2.base_url", "integrations.2.colour", "integrations.3.name", "integrations.4.name",
    }  # fmt: skip
    assert world.sql("SELECT to_jsonb(i)::text FROM hub.integration i") == before
    assert world.sql("SELECT count(*) FROM hub.secret")[0][0] == 1


def test_type_and_protocol_of_what_is_there_cannot_change(world: World, provider: Provider) -> None:
    apply(world, crm(provider))
    problem = apply(world, crm(provider, type="webhook"), status=422)
    assert [error["path"] for error in problem["errors"]] == ["integrations.0.type"]
    assert actions(apply(world, crm(provider, type="api", protocol="rest"))) == ["none"]


def test_a_stored_secret_does_not_follow_a_declared_address(world: World, provider: Provider) -> None:
    apply(world, crm(provider))
    moved = crm(provider, base_url="http://127.0.0.2:9", auth={"mode": "bearer"})
    for dry_run in (True, False):
        problem = apply(world, moved, dry_run=dry_run, status=422)
        assert [error["path"] for error in problem["errors"]] == ["integrations.0.auth.token"]
    # With the secret, also when it is the same one.
    applied = apply(world, crm(provider, base_url="http://127.0.0.2:9"))["data"][0]
    assert (applied["action"], applied["secrets"]) == ("update", ["token"])
    assert world.sql("SELECT count(*) FROM hub.secret")[0][0] == 1


def test_what_waited_goes_on_when_a_declaration_says_so(world: World, provider: Provider) -> None:
    apply(world, crm(provider))
    waiting = world.execute(_id(world))
    apply(world, crm(provider, status="maintenance"))
    world.run_executions()
    assert world.read(waiting)["state"] == "held"
    world.bell.rings.clear()
    apply(world, crm(provider))
    assert world.bell.rings
    world.run_executions()
    assert world.read(waiting)["state"] == "done"


def test_what_waits_for_another_integration_goes_on_waiting(world: World, provider: Provider) -> None:
    def erp(**fields: Any) -> dict[str, Any]:
        return {**crm(provider, **fields), "name": "erp"}

    apply(world, crm(provider), erp())
    ids = {row.name: f"int_{row.id.hex}" for row in world.sql("SELECT id, name FROM hub.integration")}
    waiting = {name: world.execute(one) for name, one in ids.items()}
    apply(world, crm(provider, status="maintenance"), erp(status="maintenance"))
    world.run_executions()
    apply(world, crm(provider), erp(status="maintenance", description="until Monday"))
    assert world.read(waiting["crm"])["state"] == "due"
    assert world.read(waiting["erp"])["state"] == "held"


def test_applying_wants_the_scope_and_stays_in_its_tenant(world: World, provider: Provider) -> None:
    body = {"integrations": [crm(provider)]}
    reader = world.other_key(Scope.INTEGRATIONS_READ)
    assert world.call("POST", "/integrations/apply", key=reader, json=body).status_code == 403
    apply(world, crm(provider))
    stranger = world.other_key(tenant="globex")
    foreign = world.call("POST", "/integrations/apply", key=stranger, json=body)
    assert actions(foreign.json()) == ["create"]
    assert world.sql("SELECT count(*) FROM hub.integration")[0][0] == 2


def _id(world: World) -> str:
    (only,) = world.call("GET", "/integrations").json()["data"]
    return str(only["id"])


def test_declarations_in_another_order_at_the_same_time_do_not_wait_for_each_other(
    world: World, provider: Provider
) -> None:
    names = ["a", "b", "c", "d"]

    def declare(order: list[str], count: int) -> list[int]:
        found = []
        for n in range(count):
            documents = [
                {"name": name, "base_url": provider.url, "description": f"{order[0]} {n}"} for name in order
            ]
            found.append(
                world.call("POST", "/integrations/apply", json={"integrations": documents}).status_code
            )
        return found

    declare(names, 1)
    with ThreadPoolExecutor(4) as threads:
        orders = [names, names[::-1], names[1:] + names[:1], names[2:] + names[:2]]
        found = [one for many in threads.map(lambda order: declare(order, 12), orders) for one in many]
    assert set(found) <= {200, 409}, "one of them may have changed what the other had planned"
    assert 200 in found
