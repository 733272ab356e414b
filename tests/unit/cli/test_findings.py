from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from hub.cli import findings
from hub.cli.findings import Finding, Level

TODAY = date(2026, 11, 22)
TOMORROW = date(2026, 11, 23)


def worker(name: str, queues: str, age: float = 1.0, stopped_at: Any = None) -> Any:
    return SimpleNamespace(name=name, queues=queues, age=age, stopped_at=stopped_at)


def depth(table: str, due: int, leased: int, oldest: float) -> Any:
    return SimpleNamespace(table=table, due=due, leased=leased, oldest_due_seconds=oldest)


@pytest.mark.parametrize(
    ("finding", "level"),
    [
        (findings.judge_server(180_006, "UTF8"), Level.OK),
        (findings.judge_server(140_000, "UTF8"), Level.OK),
        (findings.judge_server(130_012, "UTF8"), Level.FAIL),
        (findings.judge_server(180_006, "LATIN1"), Level.FAIL),
        (findings.judge_clock(1.9), Level.OK),
        (findings.judge_clock(-2.1), Level.WARN),
        (findings.judge_clock(2.1), Level.WARN),
        (findings.judge_migration("0001", "0001"), Level.OK),
        (findings.judge_migration("0001", "0002"), Level.FAIL),
        (findings.judge_migration(None, "0001"), Level.FAIL),
        (findings.judge_partitions({"message": set()}, TODAY), Level.OK),
        (findings.judge_partitions({"message": {TOMORROW}}, TODAY), Level.WARN),
        (findings.judge_partitions({"message": {TODAY, TOMORROW}}, TODAY), Level.FAIL),
        (findings.judge_leader("host:1", 3.0), Level.OK),
        (findings.judge_leader("host:1", -0.1), Level.FAIL),
        (findings.judge_leader(None, 0), Level.FAIL),
        (findings.judge_backlog([depth("message", 0, 0, 0)]), Level.OK),
        (findings.judge_backlog([depth("message", 5, 1, 59)]), Level.OK),
        (findings.judge_backlog([depth("message", 5, 1, 61)]), Level.WARN),
        (findings.judge_quarantined({}), Level.OK),
        (findings.judge_quarantined({"delivery": 2}), Level.WARN),
        (findings.judge_rejected(0), Level.OK),
        (findings.judge_rejected(1), Level.WARN),
        (findings.judge_grants(0, []), Level.OK),
        (findings.judge_grants(1, ["int_1"]), Level.WARN),
        (findings.judge_schedules(0, {}), Level.OK),
        (findings.judge_schedules(1, {"sch_1": 61.0}), Level.WARN),
        (findings.judge_flows(0, {}), Level.OK),
        (findings.judge_flows(1, {"flw_1": "int_1"}), Level.WARN),
        (findings.judge_redis("valkey 9", "noeviction", 100, 0.2), Level.OK),
        (findings.judge_redis("valkey 9", "allkeys-lru", 100, 0.2), Level.WARN),
        # Without a limit nothing is ever evicted.
        (findings.judge_redis("valkey 9", "allkeys-lru", 0, 0.2), Level.OK),
        (findings.judge_redis("valkey 9", "noeviction", 0, 51.0), Level.WARN),
        (findings.judge_queues({"hub.deliver": 10_000}), Level.OK),
        (findings.judge_queues({"hub.deliver": 10_001}), Level.WARN),
        (findings.judge_egress((), (80, 443), whose="a hub"), Level.OK),
        (findings.judge_egress(("127.0.0.0/8", "::1/128"), (0,), whose="a hub"), Level.OK),
        (findings.judge_egress(("0.0.0.0/0",), (80,), whose="a hub"), Level.WARN),
        (findings.judge_egress(("169.254.0.0/16",), (80,), whose="a hub"), Level.WARN),
        (findings.judge_api("http://hub", 200, []), Level.OK),
        (findings.judge_api("http://hub", 200, [{"name": "redis", "ok": False, "detail": "away"}]), Level.OK),
        (
            findings.judge_api("http://hub", 503, [{"name": "vault", "ok": False, "detail": "shut"}]),
            Level.FAIL,
        ),
    ],
)
def test_what_was_seen_is_judged_and_trouble_comes_with_advice(finding: Finding, level: Level) -> None:
    assert finding.level is level
    assert bool(finding.advice) is (level is not Level.OK)
    assert finding.seen


def test_egress_says_whose_settings_it_shows() -> None:
    assert findings.judge_egress((), (80,), whose="the hub of process 7").seen.startswith(
        "settings of the hub of process 7: "
    )


def test_each_queue_needs_a_worker_that_lives() -> None:
    workers = [
        worker("deliver@a", "hub.deliver", age=19),
        worker("system@a", "hub.bulk,hub.system", age=21),
        worker("execute@a", "hub.execute", stopped_at="yesterday"),
    ]
    found = findings.judge_workers(workers, ["hub.deliver", "hub.system", "hub.execute"])
    assert {one.part: one.level for one in found} == {
        "workers of hub.deliver": Level.OK,
        "workers of hub.system": Level.FAIL,
        "workers of hub.execute": Level.FAIL,
    }
    seen = {one.part: one.seen for one in found}
    assert seen["workers of hub.system"] == "system@a silent for 21 s"
    assert seen["workers of hub.execute"] == "none"


def test_a_queue_whose_name_begins_like_another_is_not_served_by_its_workers() -> None:
    found = findings.judge_workers([worker("w", "hub.deliver2")], ["hub.deliver"])
    assert found[0].level is Level.FAIL


def test_of_many_a_few_are_named() -> None:
    assert findings.judge_grants(5, ["a", "b"]).seen == "a person must connect a, b and 3 more"
