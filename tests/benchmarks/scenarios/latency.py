"""How long a single event takes to its receiver, at steady rates; see `live`."""

from __future__ import annotations

from tests.benchmarks import live
from tests.benchmarks.figures import Figure, latency_figures, percentile
from tests.benchmarks.running import Bench

_RATE = 1000
_WINDOW = 10


def run(bench: Bench) -> list[Figure]:
    """A moderate rate for ten seconds, a high one for thirty."""
    return [
        *at_rate(bench, 200, bench.pick(10, 4), p95_at_most=100),
        *at_rate(bench, _RATE, bench.pick(30, 5), p95_at_most=250),
    ]


def sustained(bench: Bench) -> list[Figure]:
    """The high rate for five minutes."""
    return at_rate(bench, _RATE, bench.pick(300, 20), p95_at_most=250)


def at_rate(bench: Bench, rate: int, seconds: int, *, p95_at_most: float) -> list[Figure]:
    """Single events, one after the other, published and delivered.

    Args:
        bench: the run.
        rate: events per second.
        seconds: how long.
        p95_at_most: the promise from due to received, milliseconds.
    """
    bench.fresh()
    found = live.follow(bench, bench.home, rate=rate, seconds=seconds)
    bench.wait_recorded(len(found.due), seconds=30)
    name = f"{rate}/s for {seconds} s"
    start = min(found.due)
    windows = [
        percentile(found.seconds(start + at, start + at + _WINDOW), 95) for at in range(0, seconds, _WINDOW)
    ]
    return [
        *latency_figures(f"{name}, publish due to answered", found.sent.seconds, p99_at_most=25),
        *latency_figures(
            f"{name}, publish due to webhook received", found.seconds(), p95_at_most=p95_at_most
        ),
        Figure(f"{name}, the same in the worst {_WINDOW} seconds, p95", max(windows) * 1000, "ms"),
        *latency_figures(f"{name}, 202 received to webhook received", found.after_answer)[1:2],
        *live.generator_figures(name, found.sent),
    ]
