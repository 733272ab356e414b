"""A replay of 10,000 failed deliveries beside live traffic."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from tests.benchmarks import ledger, live, traffic
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.running import Bench

_RATE = 200


def run(bench: Bench) -> list[Figure]:
    """Deliver them, call them failed, send them again."""
    count, rate = bench.pick(10_000, 2_000), 1_000
    headers = bench.open_tenant("replays")
    failed = bench.audience("failed", 1, headers=headers)
    others = bench.audience("beside", 10, headers=headers)
    bench.fresh()
    quiet = live.follow(bench, others, rate=_RATE, seconds=bench.pick(10, 4)).seconds()
    bench.fresh()
    since = datetime.now(UTC) - timedelta(seconds=1)
    traffic.publish(
        bench, lists=True, types=failed.types, headers=headers, connections=2,
        requests=count // traffic.LIST_LENGTH,
    )  # fmt: skip
    bench.receiver.wait_for(count, seconds=60)
    bench.wait_recorded(count, seconds=20)
    with bench.engine.begin() as conn:
        ledger.fail_all(conn)
    bench.receiver.mark()
    body = {"kind": "failed", "endpoint": failed.ids[0], "since": since.isoformat(), "rate": rate}
    with live.going(bench, others, rate=_RATE, seconds=count / rate + 4) as going:
        time.sleep(1)
        start = time.time()
        bench.call("POST", "/replays", body, headers=headers)
        bench.receiver.wait_for(count, path=failed.path, seconds=60)
    last = bench.receiver.requests(failed.path)[-1].at
    beside = going.result().seconds(start, last)
    bench.wait_idle(seconds=20)
    return [
        Figure(
            f"replay of {count:,} failed deliveries: asked for to the last received", last - start, "s",
            note=f"rate {rate:,}/s",
        ),
        Figure("live traffic beside it, p95", percentile(beside, 95) * 1000, "ms", note=f"{_RATE}/s"),
        Figure("the same without a replay", percentile(quiet, 95) * 1000, "ms"),
    ]  # fmt: skip
