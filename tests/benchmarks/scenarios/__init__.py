"""The scenarios, in the order in which they run; each is a module with `run(bench) -> list[Figure]`."""

from __future__ import annotations

from collections.abc import Callable

from tests.benchmarks.figures import Figure
from tests.benchmarks.running import Bench
from tests.benchmarks.scenarios import (
    backlog,
    batches,
    cached,
    deliveries,
    end_to_end,
    executions,
    fan_out,
    hanging,
    in_flight,
    incoming,
    lanes,
    latency,
    memory,
    ordering,
    plain_celery,
    publish,
    rate_limit,
    replay,
    slow,
    statements,
)

SCENARIOS: dict[str, Callable[[Bench], list[Figure]]] = {
    "publish": publish.run,
    "deliveries": deliveries.run,
    "end_to_end": end_to_end.run,
    "latency": latency.run,
    "statements": statements.run,
    "memory": memory.run,
    "batches": batches.run,
    "ordering": ordering.run,
    "incoming": incoming.run,
    "fan_out": fan_out.run,
    "slow": slow.run,
    "hanging": hanging.run,
    "backlog": backlog.run,
    "replay": replay.run,
    "lanes": lanes.run,
    "executions": executions.run,
    "cached": cached.run,
    "in_flight": in_flight.run,
    "rate_limit": rate_limit.run,
    "plain_celery": plain_celery.run,
}
#: Too long for every run: only when named.
ON_DEMAND: dict[str, Callable[[Bench], list[Figure]]] = {"sustained": latency.sustained}
