"""How much of an integration may be used in a day and a month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hub.core.ids import Kind, parse_id
from hub.integrations.pipeline.tools import Limits
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.test_executing import seconds_until
from tests.integration.integrations.workers import running_workers
from tests.integration.integrations.world import World
from tests.support.waiting import until


def usage(world: World, made: dict[str, Any], period: str = "day") -> tuple[int, int]:
    found = world.call("GET", f"/integrations/{made['id']}/usage").json()[period]
    return found["calls"], found["bytes"]


def ends(world: World) -> dict[str, int]:
    rows = world.sql(
        "SELECT state || coalesce(':' || reason, '') AS s, count(*) AS n FROM hub.execution GROUP BY 1"
    )
    return {row.s: row.n for row in rows}


def batch(world: World, made: dict[str, Any], count: int) -> None:
    items = [{"operation": "get_user", "input": {"path": {"id": number}}} for number in range(count)]
    answer = world.call("POST", f"/integrations/{made['id']}/execute-batch", json={"items": items})
    assert answer.status_code == 202, answer.text


def test_a_quota_is_strict_over_workers(world: World, provider: Provider) -> None:
    made = world.create(provider.url, quota={"calls_per_day": 17})
    batch(world, made, 60)
    with running_workers(world, None, 3):
        until(
            lambda: (
                sum(ends(world).values()) == 60 and "due" not in ends(world) and "leased" not in ends(world)
            )
        )
    assert ends(world) == {"done": 17, "failed:quota_exceeded": 43}
    assert len(provider.calls) == 17
    assert usage(world, made) == (17, 17 * len(Answer().body))
    assert usage(world, made, "month") == usage(world, made)
    shown = world.call("GET", f"/integrations/{made['id']}/usage").json()
    assert (shown["counted"], shown["day"]["calls_limit"], shown["month"]["calls_limit"]) == (True, 17, None)
    (failed, *_) = world.call("GET", "/executions?error_class=quota_exceeded&limit=1").json()["data"]
    assert (failed["attempts"], failed["error"]["message"]) == (0, "The integration's quota is used up.")


def test_what_may_wait_waits_for_the_next_day_or_month(world: World, provider: Provider) -> None:
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    month = (now.replace(day=28) + timedelta(days=4)).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    for period, end in (("day", midnight), ("month", month)):
        quota = {f"calls_per_{period}": 0, "on_exceeded": "wait"}
        made = world.create(provider.url, name=period, quota=quota)
        execution = world.execute(made["id"])
        world.run_executions()
        detail = world.read(execution)
        assert (detail["state"], detail["reason"], detail["attempts"]) == ("due", "quota_exceeded", 0)
        left = (end - datetime.now(UTC)).total_seconds()
        assert left - 5 <= seconds_until(detail["next_attempt_at"]) <= left + 5
    assert not provider.calls


def test_what_waits_for_a_quota_goes_on_when_it_is_raised(world: World, provider: Provider) -> None:
    made = world.create(provider.url, quota={"calls_per_day": 0, "on_exceeded": "wait"})
    execution = world.execute(made["id"])
    world.run_executions()
    assert world.read(execution)["reason"] == "quota_exceeded"
    world.call("PATCH", f"/integrations/{made['id']}", json={"quota": {"calls_per_day": 1}})
    world.run_executions()
    assert world.read(execution)["state"] == "done"


def test_bytes_stop_the_calls_after_them(world: World, provider: Provider) -> None:
    provider.default = lambda _call: Answer(200, b"x" * 600, {})
    made = world.create(provider.url, quota={"bytes_per_day": 1000})
    for state in ("done", "done", "failed"):
        execution = world.execute(made["id"])
        world.run_executions()
        assert world.read(execution)["state"] == state
    assert usage(world, made) == (2, 1200)


def test_what_is_not_called_is_not_counted(world: World, provider: Provider, redis_url: str) -> None:
    world.limits = Limits(redis_url)
    made = world.create(
        provider.url,
        quota={"calls_per_day": 3},
        caching={"ttl_seconds": 60},
        access={"allowed_operations": ["get_*", "make_user"]},
        rate_limit={"limits": [{"limit": 2, "per_seconds": 60, "burst": 2}], "on_limit": "reject"},
        operations={
            "get_user": {"path": "/users/{id}"},
            "make_user": {
                "method": "POST",
                "path": "/users",
                "request_transform": [{"cancel_if": {"body.no": 1}}],
            },
        },
    )
    kept = [world.execute(made["id"]) for _ in range(3)]
    world.run_executions(capacity=1)
    assert [world.read(one)["cached"] for one in kept] == [False, True, True]
    assert usage(world, made)[0] == 1
    called_off = world.execute(made["id"], "make_user", body={"no": 1})
    wrong = world.execute(made["id"], "make_user", body={})
    world.sql("UPDATE hub.execution SET input = '[]' WHERE id = :id", id=parse_id(Kind.EXECUTION, wrong))
    forbidden = world.execute(made["id"], "make_user", body={})
    world.sql(
        "UPDATE hub.execution SET operation = 'request' WHERE id = :id",
        id=parse_id(Kind.EXECUTION, forbidden),
    )
    world.run_executions(capacity=1)
    assert [world.read(one)["reason"] for one in (called_off, wrong, forbidden)] == [
        "cancelled_by_transform", "invalid_input", "operation_not_allowed",
    ]  # fmt: skip
    assert usage(world, made)[0] == 1
    more = [world.execute(made["id"], "make_user", body={}) for _ in range(2)]
    world.run_executions(capacity=1)
    assert [world.read(one)["reason"] for one in more] == [None, "rate_limited"]
    assert (usage(world, made)[0], len(provider.calls)) == (2, 2)


def test_calls_that_a_worker_gives_back_are_not_counted_and_those_under_way_are(
    world: World, provider: Provider
) -> None:
    made = world.create(provider.url, quota={"calls_per_day": 10})
    batch(world, made, 3)
    source = world.source()
    jobs, _ = source.claim(3)
    assert usage(world, made)[0] == 3
    source.hand_back(jobs[:1])()
    jobs[1].started_at = datetime.now(UTC)
    # One was under way when the worker shut down, one was not.
    write = source.record([(jobs[1], None), (jobs[2], None)])
    write()
    write()
    assert usage(world, made)[0] == 1
    world.run_executions()
    # The one that may have arrived is not made again.
    assert usage(world, made)[0] == 3


def test_what_was_counted_before_midnight_is_given_back_to_that_day(world: World, provider: Provider) -> None:
    made = world.create(provider.url, quota={"calls_per_day": 10})
    batch(world, made, 1)
    source = world.source()
    jobs, _ = source.claim(1)
    yesterday = datetime.now(UTC).date() - timedelta(days=40)
    world.sql("UPDATE hub.integration_usage SET begins = :day WHERE period = 'day'", day=yesterday)
    world.sql(
        "UPDATE hub.integration_usage SET begins = :day WHERE period = 'month'", day=yesterday.replace(day=1)
    )
    jobs[0].counted = yesterday
    source.hand_back(jobs)()
    assert [row.calls for row in world.sql("SELECT calls FROM hub.integration_usage")] == [0, 0]
    assert usage(world, made) == (0, 0)


def test_a_failed_call_counts_and_so_does_its_repetition(world: World, provider: Provider) -> None:
    provider.default = lambda _call: Answer(500)
    made = world.create(provider.url, quota={"calls_per_day": 2}, retry_policy={"max_retries": 5})
    execution = world.execute(made["id"])
    for _ in range(3):
        world.run_executions()
        world.everything_due()
    detail = world.read(execution)
    assert (detail["state"], detail["reason"], len(provider.calls)) == ("failed", "quota_exceeded", 2)


def test_an_integration_without_a_quota_is_not_counted(world: World, provider: Provider) -> None:
    made = world.create(provider.url)
    world.execute(made["id"])
    world.run_executions()
    shown = world.call("GET", f"/integrations/{made['id']}/usage").json()
    assert (shown["counted"], shown["day"]["calls"]) == (False, 0)
    assert (
        world.call("GET", f"/integrations/{made['id']}/usage", key=world.other_key(tenant="x")).status_code
        == 404
    )


def test_a_kept_answer_needs_no_quota_and_bytes_are_those_that_came(
    world: World, provider: Provider, redis_url: str
) -> None:
    world.limits = Limits(redis_url)
    provider.default = lambda _call: Answer(200, b'{"n":1,"pad":"' + b"x" * 500 + b'"}')
    made = world.create(
        provider.url,
        quota={"calls_per_day": 1},
        caching={"ttl_seconds": 60},
        operations={"get_user": {"path": "/users/{id}", "response_transform": [{"pick": ["n"]}]}},
    )
    # All of them are claimed together, and only one of them needs the one call.
    batch(world, made, 1)
    world.run_executions()
    items = [{"operation": "get_user", "input": {"path": {"id": 0}}}] * 20
    world.call("POST", f"/integrations/{made['id']}/execute-batch", json={"items": items})
    world.run_executions()
    assert ends(world) == {"done": 21}
    assert usage(world, made) == (1, 516)
    assert world.sql("SELECT max(data_size) FROM hub.execution")[0][0] == len(b'{"n":1}')
