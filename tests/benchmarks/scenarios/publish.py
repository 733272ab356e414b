"""How many events the API accepts, and how long it takes. The deliver worker is stopped: this is the front door alone."""

from __future__ import annotations

from tests.benchmarks import ledger, live, traffic
from tests.benchmarks.figures import Figure, latency_figures
from tests.benchmarks.running import Bench

_OPEN_RATE = 1000


def run(bench: Bench) -> list[Figure]:
    """Single events at a fixed rate, single events flat out, lists flat out."""
    seconds = bench.pick(6, 2)
    with bench.stopped("deliver"):
        steady = traffic.publish(bench, connections=64, rate=_OPEN_RATE, seconds=seconds)
        single = traffic.publish(bench, connections=64, seconds=seconds)
        lists = traffic.publish(bench, lists=True, connections=4, seconds=seconds)
        with bench.engine.begin() as conn:
            ledger.clear(conn)
    return [
        Figure(f"single events accepted, 64 connections, {seconds} s", single.rate, "1/s", at_least=1000),
        Figure(
            f"events accepted in lists of 100, 4 connections, {seconds} s",
            lists.rate * traffic.LIST_LENGTH,
            "1/s",
        ),
        *latency_figures(f"single event at {_OPEN_RATE}/s for {seconds} s, due to answered", steady.seconds),
        *live.generator_figures("flat out", single)[:1],
    ]
