"""Half of the endpoints hang every call: what the others notice.

The same traffic twice: every endpoint gets its share of 200 events a second; first all of them answer, then half of
them never do. Compared are the healthy half's times from publish due to webhook received. Calls that hang end at the
timeout (15 s), so the run goes on for longer than that: the breakers open in its course.
"""

from __future__ import annotations

from tests.benchmarks import live
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.running import Bench

_RATE = 200


def run(bench: Bench) -> list[Figure]:
    """With few endpoints and with many."""
    figures = []
    for count in (10,) if bench.quick else (10, 100):
        headers = bench.open_tenant(f"half-{count}")
        half = count // 2
        healthy = bench.audience(f"healthy-{count}", half, headers=headers)
        other = bench.audience(f"answering-{count}", half, headers=headers)
        hanging = bench.audience(f"hanging-{count}", half, answer="/slow/3600", headers=headers)
        seconds = bench.pick(30, 6)
        bench.fresh()
        without = live.follow(bench, healthy, rate=_RATE, seconds=bench.pick(20, 5), beside=other)
        bench.fresh()
        during = live.follow(bench, healthy, rate=_RATE, seconds=seconds, beside=hanging)
        bench.abandon()
        p95 = [percentile(one.seconds(), 95) * 1000 for one in (without, during)]
        name = f"{half} of {count} endpoints hang, {_RATE}/s for {seconds} s"
        figures += [
            Figure(f"{name}: p95 of the others to without", p95[1] / p95[0], "x", at_most=1.1),
            Figure("p95 of the others", p95[1], "ms", note=f"of {len(during.due):,} events"),
            Figure("the same while every endpoint answers", p95[0], "ms"),
        ]
    return figures
