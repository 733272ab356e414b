"""Events in lists of 100, published flat out while they are delivered: first request sent to last delivery recorded."""

from __future__ import annotations

from tests.benchmarks import traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import NoResult
from tests.benchmarks.running import Bench


def run(bench: Bench) -> list[Figure]:
    """Publish and deliver at once."""
    count = bench.pick(30_000, 8_000)
    bench.fresh()
    sent = traffic.publish(bench, lists=True, connections=2, requests=count // traffic.LIST_LENGTH)
    bench.receiver.wait_for(count, seconds=60)
    rows = bench.wait_recorded(count, seconds=20)
    seen = bench.receiver.requests()
    if len({one.id for one in seen}) != count:
        raise NoResult(f"{count} events, but {len(seen)} requests")
    end = max(rows.last, seen[-1].at)
    return [
        Figure(
            "events published and delivered", count / (end - min(sent.due)), "1/s", at_least=3000,
            note=f"{count:,} events, 2 connections",
        ),
        Figure("events accepted meanwhile", sent.rate * traffic.LIST_LENGTH, "1/s"),
    ]  # fmt: skip
