"""An outage: deliveries are held for one endpoint, then it is back. How long they take, and what the others notice.

The endpoint is paused while its events are published and fanned out, then set active, with ten other endpoints under
steady traffic all the time. Once without a limit for the drain, once with one.
"""

from __future__ import annotations

import time

from tests.benchmarks import live, traffic
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.running import Audience, Bench

_RATE = 200


def run(bench: Bench) -> list[Figure]:
    """Drain it as fast as the hub likes, and at a fixed rate."""
    count = bench.pick(50_000, 4_000)
    headers = bench.open_tenant("outage")
    outage = bench.audience("outage", 1, headers=headers)
    others = bench.audience("steady", 10, headers=headers)
    bench.fresh()
    quiet = live.follow(bench, others, rate=_RATE, seconds=bench.pick(10, 4)).seconds()
    figures = [
        Figure(
            "live traffic alone, p95", percentile(quiet, 95) * 1000, "ms", note=f"{_RATE}/s to 10 endpoints"
        )
    ]
    for drain_rate in (None, bench.pick(1_500, 2_000)):
        # The time that it is expected to take; whatever is drained later has no live traffic beside it.
        seconds = count / (drain_rate or 4_000) + 3
        figures += _drain(bench, outage, others, count, drain_rate, seconds)
    return figures


def _drain(
    bench: Bench, outage: Audience, others: Audience, count: int, drain_rate: int | None, seconds: float
) -> list[Figure]:
    bench.fresh()
    path = f"/endpoints/{outage.ids[0]}"
    bench.call("PATCH", path, {"status": "paused", "drain_rate": drain_rate}, headers=outage.headers)
    traffic.publish(
        bench, lists=True, types=outage.types, headers=outage.headers, connections=2,
        requests=count // traffic.LIST_LENGTH,
    )  # fmt: skip
    bench.wait_idle(seconds=60)
    with live.going(bench, others, rate=_RATE, seconds=seconds) as going:
        time.sleep(1)
        resumed = time.time()
        bench.call("PATCH", path, {"status": "active"}, headers=outage.headers)
        bench.receiver.wait_for(count, path=outage.path, seconds=120)
    last = bench.receiver.requests(outage.path)[-1].at
    beside = going.result().seconds(resumed, last)
    bench.wait_recorded(count + len(going.result().due), seconds=30)
    limit = f"drain_rate {drain_rate:,}/s" if drain_rate else "no drain_rate"
    return [
        Figure(f"backlog of {count:,}, {limit}: resumed to the last received", last - resumed, "s"),
        Figure("of them a second", count / (last - resumed), "1/s"),
        Figure("live traffic beside it, p95", percentile(beside, 95) * 1000, "ms", note=f"{_RATE}/s"),
    ]
