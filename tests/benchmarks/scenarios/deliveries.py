"""Deliveries per second of one deliver worker: a backlog is published while it is stopped, then it starts.

Measured from the first request that the receiver sees to the last delivery that is recorded in its row, fan-out of
the messages included, the worker's start excluded.
"""

from __future__ import annotations

from tests.benchmarks import drain, ledger, traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import NoResult
from tests.benchmarks.running import Bench


def run(bench: Bench) -> list[Figure]:
    """Deliver a backlog."""
    count = bench.pick(25_000, 8_000)
    with bench.stopped("deliver"):
        with bench.engine.begin() as conn:
            ledger.clear(conn)
        bench.receiver.mark()
        traffic.publish(bench, lists=True, connections=2, requests=count // traffic.LIST_LENGTH)
    pids = [bench.pid("deliver"), *bench.server_pids]
    drained = drain.watch(bench.receiver, count, pids, seconds=60)
    bench.wait_idle(seconds=10)
    times = drained.times
    with bench.engine.connect() as conn:
        rows = ledger.finished_deliveries(conn)
    if not (rows.total == rows.done == rows.attempts == len(times) == count):
        raise NoResult(f"{count} events, but {len(times)} requests and {rows}")
    bench.deliveries_per_second = count / (max(rows.last, times[-1]) - times[0])
    bench.delivery_cpu_ms = drained.cpu_ms
    return [
        Figure("recorded deliveries of one worker", bench.deliveries_per_second, "1/s", at_least=3000),
        Figure("backlog", count, ""),
        Figure("CPU for each delivery: worker, Postgres, Valkey", drained.cpu_ms, "ms"),
    ]
