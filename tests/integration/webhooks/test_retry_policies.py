"""Retry policies of the deployment, the tenant, the event type and the endpoint, by real deliveries."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from hub.core.ids import Kind, format_id
from hub.db.states import State
from hub.webhooks import resending
from hub.webhooks.catalogue import event_types
from hub.webhooks.catalogue.schemas import EventTypeCreate, EventTypeUpdate, SettingsUpdate
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.webhooks.world import World, running_world

NAME = "invoice.paid"
ONCE: dict[str, Any] = {"strategy": "schedule", "delays": []}


@pytest.fixture
def failing(receiver: Provider) -> Provider:
    receiver.default = lambda _call: Answer(500)
    return receiver


def fixed(seconds: float, retries: int = 1) -> dict[str, Any]:
    return {"strategy": "fixed", "initial_seconds": seconds, "max_retries": retries}


def choose_for_tenant(world: World, policy: dict[str, Any] | None) -> None:
    with world.engine.begin() as conn:
        body = SettingsUpdate.model_validate({"retry_policy": policy})
        event_types.choose_settings(conn, world.caller, body)


def make_type(world: World, name: str = NAME, **fields: Any) -> None:
    with world.engine.begin() as conn:
        event_types.create(conn, world.caller, EventTypeCreate.model_validate({"name": name, **fields}))


def change_type(world: World, name: str = NAME, **fields: Any) -> None:
    with world.engine.begin() as conn:
        event_types.change(conn, world.caller, name, EventTypeUpdate.model_validate(fields))


def waits(world: World) -> list[float]:
    """Seconds to the next attempt of each delivery, oldest first."""
    return [float(row[0]) for row in world.states("extract(epoch FROM due_at - now())")]


def about(seconds: float) -> Any:
    """A wait of so many seconds, of which some have passed; jitter adds a tenth at most."""
    return pytest.approx(seconds, abs=60 + seconds / 10)


@pytest.mark.parametrize(
    ("tenant", "type_", "endpoint", "expected"),
    [
        (None, None, None, 5),
        (200, None, None, 200),
        (None, 1300, None, 1300),
        (200, 1300, None, 1300),
        (None, None, 14_000, 14_000),
        (200, 1300, 14_000, 14_000),
        (200, None, 14_000, 14_000),
    ],
    ids=[
        "deployment",
        "tenant",
        "type",
        "type over tenant",
        "endpoint",
        "endpoint over all",
        "endpoint over tenant",
    ],
)
def test_the_most_specific_policy_decides_when_a_worker_tries_again(
    world: World,
    failing: Provider,
    tenant: int | None,
    type_: int | None,
    endpoint: int | None,
    expected: int,
) -> None:
    if tenant is not None:
        choose_for_tenant(world, fixed(tenant))
    make_type(world, retry_policy=None if type_ is None else fixed(type_))
    world.endpoint(failing.url, retries=None if endpoint is None else [endpoint])
    world.publish("{}")
    world.deliver()
    assert world.states() == [("due", None)]
    assert waits(world) == [about(expected)]


def test_a_policy_holds_as_a_whole(world: World, failing: Provider) -> None:
    """The event type allows more retries than the endpoint, which has none left."""
    make_type(world, retry_policy=fixed(0, retries=9))
    world.endpoint(failing.url, retry_policy=fixed(60, retries=1))
    world.publish("{}")
    world.deliver()
    world.let_pass(100)
    world.deliver()
    assert (world.states(), len(failing.calls)) == ([("failed", "exhausted")], 2)


@pytest.mark.parametrize("level", ["tenant", "type"])
def test_no_retries_is_a_policy_too(world: World, failing: Provider, level: str) -> None:
    choose_for_tenant(world, ONCE if level == "tenant" else fixed(0, retries=5))
    make_type(world, retry_policy=ONCE if level == "type" else None)
    world.endpoint(failing.url)
    world.publish("{}")
    world.deliver()
    assert (world.states(), len(failing.calls)) == ([("failed", "exhausted")], 1)


@pytest.mark.parametrize("level", ["tenant", "type"])
def test_a_change_holds_for_retries_of_events_that_are_on_their_way(
    world: World, failing: Provider, level: str
) -> None:
    """For a worker that knows the tenant already."""

    def choose(policy: dict[str, Any] | None) -> None:
        if level == "tenant":
            choose_for_tenant(world, policy)
        else:
            change_type(world, retry_policy=policy)

    source = world.source()
    make_type(world)
    world.endpoint(failing.url)
    choose(fixed(500, retries=5))
    world.publish("{}")
    world.deliver(source)
    assert waits(world) == [about(500)]
    choose(fixed(9000, retries=5))
    world.everything_due()
    world.deliver(source)
    assert waits(world) == [about(9000)]
    # Gone: the deployment's, whose third delay is half an hour.
    choose(None)
    world.everything_due()
    world.deliver(source)
    assert world.settings.webhook_retry_schedule[2] == 1800
    assert waits(world) == [about(1800)]
    choose(ONCE)
    world.everything_due()
    world.deliver(source)
    assert (world.states(), len(failing.calls)) == ([("failed", "exhausted")], 4)


def test_what_is_sent_again_by_hand_goes_by_the_policy_of_now(world: World, failing: Provider) -> None:
    source = world.source()
    choose_for_tenant(world, ONCE)
    world.endpoint(failing.url)
    world.publish("{}")
    world.deliver(source)
    assert world.states() == [("failed", "exhausted")]
    choose_for_tenant(world, fixed(700))
    ((delivery_id,),) = world.states("id")
    with world.engine.begin() as conn:
        resending.resend(conn, world.caller, delivery_id)
    world.deliver(source)
    assert (world.states(), waits(world)) == ([("due", None)], [about(700)])


def test_each_event_of_a_batch_goes_by_its_own_type(world: World, failing: Provider) -> None:
    make_type(world, "a.often", retry_policy=fixed(600))
    make_type(world, "a.once", retry_policy=ONCE)
    world.endpoint(failing.url, batch={"size": 10, "wait_seconds": 0})
    for name in ("a.often", "a.once", "a.other"):
        world.publish("{}", type_=name)
    world.deliver()
    assert len(failing.calls) == 1
    assert world.states() == [("due", None), ("failed", "exhausted"), ("due", None)]
    assert waits(world)[::2] == [about(600), about(5)]


def test_an_archived_type_leaves_it_to_the_tenant(world: World, failing: Provider) -> None:
    choose_for_tenant(world, fixed(200))
    make_type(world, retry_policy=fixed(1300))
    with world.engine.begin() as conn:
        event_types.archive(conn, world.caller, NAME)
    world.endpoint(failing.url)
    world.publish("{}")
    world.deliver()
    assert waits(world) == [about(200)]


def test_another_tenant_is_not_meant(world: World, failing: Provider, database_url: str) -> None:
    choose_for_tenant(world, ONCE)
    make_type(world, retry_policy=ONCE)
    with running_world(world.engine, database_url, "globex") as other:
        other.endpoint(failing.url)
        other.publish("{}")
        other.deliver()
        assert other.states() == [("due", None)]


def test_a_policy_that_was_spoilt_is_as_none_and_is_told(
    world: World, failing: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    choose_for_tenant(world, fixed(200))
    make_type(world, retry_policy=fixed(1300))
    make_type(world, "a.other", retry_policy=fixed(1300))
    world.sql("UPDATE hub.event_type SET retry_policy = '7' WHERE name = :name", name=NAME)
    world.endpoint(failing.url)
    world.publish("{}")
    world.publish("{}", type_="a.other")
    world.deliver()
    assert waits(world) == [about(200), about(1300)]
    told = [record.getMessage() for record in caplog.records if "retry policy" in record.getMessage()]
    tenant = format_id(Kind.TENANT, world.tenant_id)
    assert told == [f"The retry policy of tenant {tenant} for {NAME} is not readable (TypeError)."]


def test_policies_cost_a_worker_that_knows_the_tenant_no_statement(world: World, failing: Provider) -> None:
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    choose_for_tenant(world, fixed(200))
    make_type(world, retry_policy=fixed(1300))
    world.endpoint(failing.url)
    source = world.source()
    world.publish("{}")
    world.deliver(source)
    world.publish("{}")
    event.listen(world.engine, "before_cursor_execute", note)
    try:
        world.deliver(source)
    finally:
        event.remove(world.engine, "before_cursor_execute", note)
    assert [row[0] for row in world.states("state")] == [State.DUE, State.DUE]
    assert statements
    assert not any("event_type" in one or "catalogue_setting" in one for one in statements)
