"""The scenarios, in the order in which they run; each is a module with `run(bench) -> list[Figure]`."""

from __future__ import annotations

from collections.abc import Callable

from tests.benchmarks.figures import Figure
from tests.benchmarks.running import Bench
from tests.benchmarks.scenarios import (
    deliveries,
    end_to_end,
    executions,
    latency,
    memory,
    plain_celery,
    publish,
    statements,
)

SCENARIOS: dict[str, Callable[[Bench], list[Figure]]] = {
    "publish": publish.run,
    "deliveries": deliveries.run,
    "end_to_end": end_to_end.run,
    "latency": latency.run,
    "executions": executions.run,
    "statements": statements.run,
    "memory": memory.run,
    "plain_celery": plain_celery.run,
}
