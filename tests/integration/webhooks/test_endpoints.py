"""Endpoints and the workers' view of them, in a real Postgres."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, event

from hub.core.errors import Conflict, Invalid, NotFound
from hub.core.ids import new_uuid
from tests.integration.webhooks.world import World, running_world

URL = "http://127.0.0.1:9"


def test_two_endpoints_of_one_name_are_a_conflict_and_not_a_fault(world: World) -> None:
    first = world.endpoint(URL, "billing")
    with pytest.raises(Conflict, match="'billing'") as caught:
        world.endpoint(URL, "billing")
    assert [fault.path for fault in caught.value.fields] == ["name"]
    second = world.endpoint(URL, "other")
    with pytest.raises(Conflict):
        world.change(second, name="billing")
    world.change(first, name="billing")
    # What was refused left no secret behind.
    assert world.sql("SELECT count(*) FROM hub.secret") == [(2,)]


def test_another_tenant_may_use_the_same_name(world: World, engine: Engine, database_url: str) -> None:
    world.endpoint(URL, "billing")
    with running_world(engine, database_url, "globex") as other:
        other.endpoint(URL, "billing")


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"url": "ftp://127.0.0.1/"}, {"url"}),
        ({"url": "http://10.0.0.1/"}, {"url"}),
        ({"url": "http://[::ffff:169.254.169.254]/"}, {"url"}),
        ({"url": "nothing"}, {"url"}),
        ({"headers": {"Webhook-Id": "x"}}, {"headers.Webhook-Id"}),
        ({"headers": {"content-type": "x"}}, {"headers.content-type"}),
        ({"headers": {"User-Agent": "x"}}, {"headers.User-Agent"}),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, {"headers.X-A"}),
        ({"headers": {"Host": "x"}}, {"headers.Host"}),
        ({"headers": {"Authorization": "Bearer x"}}, {"headers.Authorization"}),
        ({"url": "http://10.0.0.1/", "headers": {"webhook-x": "x"}}, {"url", "headers.webhook-x"}),
        ({"secret": "whsec_short"}, {"secret"}),
    ],
)
def test_what_is_refused_is_named_and_nothing_is_written(
    world: World, fields: dict[str, Any], paths: set[str]
) -> None:
    with pytest.raises(Invalid) as caught:
        world.endpoint(**{"url": URL, **fields})
    assert {fault.path for fault in caught.value.fields} == paths
    assert world.sql("SELECT count(*) FROM hub.endpoint") == [(0,)]
    if "secret" not in fields:
        endpoint = world.endpoint(URL)
        with pytest.raises(Invalid):
            world.change(endpoint, **fields)


def test_a_secret_may_be_brought_along(world: World) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    endpoint = world.endpoint(URL, secret=secret)
    assert world.secrets[endpoint].reveal() == secret
    assert secret not in str(world.sql("SELECT e::text, s::text FROM hub.endpoint e, hub.secret s"))


def test_every_change_raises_the_versions(world: World) -> None:
    def versions() -> tuple[Any, ...]:
        return world.sql(
            "SELECT e.version, t.config_version FROM hub.endpoint e JOIN hub.tenant t ON t.id = e.tenant_id"
        )[0]

    endpoint = world.endpoint(URL)
    first = versions()
    for n, change in enumerate(({"description": "x"}, {"status": "paused"}, {"status": "active"}, {}), 1):
        world.change(endpoint, **change)
        assert versions() == (first[0] + n, first[1] + n)
    tenant_before = world.sql("SELECT config_version FROM hub.tenant")
    world.remove(endpoint)
    assert world.sql("SELECT config_version FROM hub.tenant") > tenant_before
    assert world.sql("SELECT count(*) FROM hub.secret") == [(0,)]


def test_the_reason_of_a_status_is_kept(world: World) -> None:
    endpoint = world.endpoint(URL)
    world.change(endpoint, status="disabled")
    assert world.sql("SELECT status, status_reason FROM hub.endpoint") == [("disabled", "by_user")]
    world.change(endpoint, status="active")
    assert world.sql("SELECT status, status_reason FROM hub.endpoint") == [("active", None)]


def test_an_endpoint_of_another_tenant_does_not_exist(
    world: World, engine: Engine, database_url: str
) -> None:
    endpoint = world.endpoint(URL)
    with running_world(engine, database_url, "globex") as other:
        with pytest.raises(NotFound):
            other.change(endpoint, status="paused")
        with pytest.raises(NotFound):
            other.remove(endpoint)
    with pytest.raises(NotFound):
        world.remove(new_uuid())


def test_activating_resumes_what_was_held_and_leaves_the_quarantined(world: World) -> None:
    endpoint = world.endpoint(URL)
    world.publish("1", "2")
    source = world.source()
    source.hand_back(source.claim(5)[0])()
    world.sql(
        "UPDATE hub.delivery SET state = 'held', reason = 'quarantined' WHERE id = (SELECT min(id::text)::uuid FROM hub.delivery)"
    )
    world.change(endpoint, status="paused")
    assert set(world.seen_states()) == {("held", "quarantined"), ("held", "endpoint_paused")}
    assert world.change(endpoint, status="active")
    assert set(world.seen_states()) == {("held", "quarantined"), ("due", None)}


# -- the workers' view ------------------------------------------------------------------------------------------------


def test_the_directory_loads_a_tenant_once_and_again_when_it_changed(world: World) -> None:
    endpoint = world.endpoint(
        URL,
        retry_policy={"strategy": "schedule", "delays": [1, 2]},
        timeout_seconds=3,
        headers={"X-A": "b"},
        event_types=["a.*"],
    )
    directory = world.directory()
    statements: list[str] = []
    event.listen(
        world.engine, "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement)
    )

    def refresh() -> int:
        before = len(statements)
        with world.engine.connect() as conn:
            directory.refresh(conn, {world.tenant_id})
        return len(statements) - before

    assert directory.target(world.tenant_id, endpoint) is None
    assert [refresh(), refresh(), refresh()] == [5, 1, 1]
    target = directory.target(world.tenant_id, endpoint)
    assert target is not None
    assert (target.url, target.patterns, target.headers, target.hold) == (URL, ("a.*",), ("X-A: b",), None)
    assert (target.schedule, target.timeout, len(target.keys)) == ((1, 2), 3, 1)
    world.change(endpoint, status="paused", retry_policy=None, timeout_seconds=None)
    assert [refresh(), refresh()] == [5, 1]
    target = directory.target(world.tenant_id, endpoint)
    assert target is not None
    assert (target.hold, target.timeout) == ("endpoint_paused", world.settings.webhook_timeout_seconds)
    assert target.schedule is None
    default = world.settings.webhook_retry_schedule
    assert directory.schedule(world.tenant_id, target, "a.b") == default
    world.remove(endpoint)
    refresh()
    assert directory.target(world.tenant_id, endpoint) is None


def test_a_tenant_that_does_not_exist_has_no_endpoints(world: World) -> None:
    directory = world.directory()
    with world.engine.connect() as conn:
        directory.refresh(conn, {new_uuid()})
        directory.refresh(conn, set())
    assert directory.subscribers(new_uuid(), "events", "a.b") == ()


def test_an_empty_retry_schedule_means_no_retry(world: World) -> None:
    endpoint = world.endpoint(URL, retry_policy={"strategy": "schedule", "delays": []})
    directory = world.directory()
    with world.engine.connect() as conn:
        directory.refresh(conn, {world.tenant_id})
    target = directory.target(world.tenant_id, endpoint)
    assert target is not None
    assert target.schedule == ()
