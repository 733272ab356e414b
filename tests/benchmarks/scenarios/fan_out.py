"""One event to 10,000 endpoints, and what another tenant notices of it."""

from __future__ import annotations

import time

from tests.benchmarks import ledger, live, traffic
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.running import Bench

_RATE = 50


def run(bench: Bench) -> list[Figure]:
    """Twice: the worker has not seen the endpoints before, and it has."""
    count = bench.pick(10_000, 2_000)
    many, other = bench.audience("wide", count), bench.audience("other", 1)
    # The worker knows the other tenant's endpoint, as it would.
    live.follow(bench, other, rate=_RATE, seconds=1)
    figures = []
    for state in ("not seen before", "known"):
        bench.fresh()
        with live.going(bench, other, rate=_RATE, seconds=bench.pick(12, 5)) as going:
            time.sleep(1)
            sent = traffic.publish(
                bench, types=[many.everybody], headers=many.headers, connections=1, requests=1
            )
            bench.receiver.wait_for(count, path=many.path, seconds=60)
        last = bench.receiver.requests(many.path)[-1].at
        start = sent.due[0]
        seconds = going.result().seconds(start, last)
        bench.wait_recorded(count + len(going.result().due), seconds=30)
        with bench.engine.connect() as conn:
            written, recorded = ledger.largest_transactions(conn)
        name = f"1 event to {count:,} endpoints, {state}"
        note = f"{_RATE}/s, {len(seconds)} events"
        figures += [
            Figure(f"{name}: published to the last received", last - start, "s"),
            Figure("of them a second", count / (last - start), "1/s"),
            Figure("largest transaction: deliveries written", written, ""),
            Figure("largest transaction: outcomes recorded", recorded, ""),
            Figure("another tenant's event meanwhile, p50", percentile(seconds, 50) * 1000, "ms", note=note),
            Figure("another tenant's event meanwhile, the slowest", max(seconds) * 1000, "ms", note=note),
        ]
    return figures
