"""A rate limit over four pool processes, counted where it matters: at the service."""

from __future__ import annotations

import json

from tests.benchmarks import traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import Seen
from tests.benchmarks.running import Bench

_RATE, _BURST, _WORKERS = 10, 2, 4


def run(bench: Bench) -> list[Figure]:
    """A backlog of calls under a limit of ten a second."""
    count = bench.pick(150, 60)
    limited = {
        "name": "limited",
        "base_url": bench.service.url,
        "operations": {"get_user": {"method": "GET", "path": "/users/{id}"}},
        "error_mapping": [{"when": {"statuses": [401]}, "then": "ignore"}],
        "rate_limit": {"limits": [{"limit": _RATE, "per_seconds": 1, "burst": _BURST}]},
    }
    items = [{"operation": "get_user", "input": {"path": {"id": n}}} for n in range(count)]
    with bench.stopped("execute"):
        bench.fresh()
        bench.service.mark()
        made = bench.call("POST", "/integrations", limited)
        with bench.worker("execute", processes=_WORKERS):
            path = f"/v1/integrations/{made['id']}/execute-batch"
            traffic.send(bench, path, [json.dumps({"items": items})], expected=202, connections=1, requests=1)
            bench.service.wait_for(count, seconds=count / _RATE * 2 + 20)
            bench.wait_idle(seconds=10)
    seen = bench.service.requests()
    return [
        Figure(
            f"calls in any second at a service with a limit of {_RATE}/s and a burst of {_BURST}", _most(seen), "",
            at_most=_RATE + _BURST, note=f"one execute worker, -c {_WORKERS}",
        ),
        Figure("the rate that was reached", (len(seen) - 1) / (seen[-1].at - seen[0].at), "1/s"),
    ]  # fmt: skip


def _most(seen: list[Seen]) -> int:
    """The most calls that arrived within one second."""
    most = first = 0
    for index, one in enumerate(seen):
        while seen[first].at <= one.at - 1:
            first += 1
        most = max(most, index - first + 1)
    return most
