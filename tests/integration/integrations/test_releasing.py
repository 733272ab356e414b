"""What waits for a person, or for a status, goes on when that can never come, or has come by another way."""

from __future__ import annotations

from typing import Any

import pytest

from hub.db.states import QUARANTINED, State
from hub.integrations.pipeline.authenticating import NEEDS_REAUTH
from hub.integrations.pipeline.call import Stopped
from hub.queue.contracts import TaskName
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World

RING: tuple[TaskName, list[str]] = (TaskName.EXECUTIONS_RUN, [])
OLD, NEW = "an-older-secret-token", "a-newer-secret-token"


def bearer(token: str) -> dict[str, Any]:
    return {"auth": {"mode": "bearer", "token": token}}


def held(world: World, integration: dict[str, Any], reason: str = NEEDS_REAUTH) -> str:
    execution = world.execute(integration["id"])
    world.sql("UPDATE hub.execution SET state = 'held', reason = :reason", reason=reason)
    world.bell.rings.clear()
    return execution


@pytest.mark.parametrize("reason", [NEEDS_REAUTH, "integration_inactive", QUARANTINED])
def test_whatever_waits_for_a_deleted_integration_fails(
    world: World, provider: Provider, reason: str
) -> None:
    made = world.create(provider.url)
    execution = held(world, made, reason)
    assert world.call("DELETE", f"/integrations/{made['id']}").status_code == 204
    assert world.bell.rings == [RING]
    world.run_executions()
    detail = world.read(execution)
    assert (detail["state"], detail["error"]["type"]) == ("failed", "integration_deleted")
    assert not provider.calls


def test_what_is_held_just_after_the_deletion_fails_too(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    execution = world.execute(made["id"])
    (job,) = world.source().claim(1)[0]
    assert world.call("DELETE", f"/integrations/{made['id']}").status_code == 204
    world.source().record([(job, Stopped(State.HELD, NEEDS_REAUTH, "A person must connect it again."))])()
    world.run_executions()
    assert world.read(execution)["error"]["type"] == "integration_deleted"


@pytest.mark.parametrize("door", ["change", "apply"])
def test_other_credentials_let_go_on_what_waited_for_a_person(
    world: World, provider: Provider, door: str
) -> None:
    made = world.create(provider.url, **bearer(OLD))
    execution = held(world, made)

    def give(**fields: Any) -> None:
        if door == "change":
            answer = world.call("PATCH", f"/integrations/{made['id']}", json=fields)
        else:
            document = {"name": "provider", "base_url": provider.url, "operations": made["operations"]}
            body = {"integrations": [document | bearer(OLD) | fields]}
            answer = world.call("POST", "/integrations/apply", json=body)
        assert answer.status_code == 200, answer.text

    give(description="another")
    assert (world.read(execution)["state"], world.bell.rings) == ("held", [])
    give(**bearer(NEW))
    assert world.bell.rings == [RING]
    world.run_executions()
    assert world.read(execution)["state"] == "done"
    assert provider.calls[0].headers["authorization"] == f"Bearer {NEW}"


def test_a_plan_alone_lets_nothing_go_on(world: World, provider: Provider) -> None:
    made = world.create(provider.url, **bearer(OLD))
    execution = held(world, made)
    document = {"name": "provider", "base_url": provider.url, **bearer(NEW)}
    answer = world.call("POST", "/integrations/apply?dry_run=true", json={"integrations": [document]})
    assert answer.json()["data"][0]["secrets"] == ["token"]
    assert (world.read(execution)["state"], world.bell.rings) == ("held", [])
