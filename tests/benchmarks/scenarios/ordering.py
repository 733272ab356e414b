"""Strict ordering: a backlog of events with 1,000 ordering keys for one endpoint; each key's next event waits for the
one before to be delivered and recorded."""

from __future__ import annotations

import json
from collections import defaultdict

from tests.benchmarks import drain, traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import NoResult
from tests.benchmarks.running import Bench

_KEYS = 1000


def run(bench: Bench) -> list[Figure]:
    """Deliver it, and look whether every key's events came in order."""
    count = bench.pick(10_000, 3_000)
    audience = bench.audience("ordered", 1, ordering="strict")
    events = [
        traffic.event(
            audience.types[0], id=f"{number % _KEYS}-{number}", ordering_key=f"key-{number % _KEYS}"
        )
        for number in range(count)
    ]
    lists = [
        json.dumps(events[start : start + traffic.LIST_LENGTH])
        for start in range(0, count, traffic.LIST_LENGTH)
    ]

    def publish() -> None:
        traffic.send(
            bench, "/v1/events", lists, expected=202, connections=1, headers=audience.headers,
            requests=len(lists),
        )  # fmt: skip

    rate, _ = drain.backlog(bench, publish, count)
    seen = defaultdict(list)
    for one in bench.receiver.requests():
        key, _, number = one.id.partition("-")
        seen[key].append(int(number))
    if any(numbers != sorted(numbers) for numbers in seen.values()):
        raise NoResult("events of one key came out of order")
    return [
        Figure(
            f"events recorded in strict order over {_KEYS:,} keys", rate, "1/s", note=f"backlog of {count:,}"
        )
    ]
