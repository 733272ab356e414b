"""Events in lists of 100, published flat out while they are delivered: first request sent to last delivery recorded."""

from __future__ import annotations

from tests.benchmarks import ledger, traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import NoResult
from tests.benchmarks.running import Bench


def run(bench: Bench) -> list[Figure]:
    """Publish and deliver at once."""
    with bench.engine.begin() as conn:
        ledger.clear(conn)
    count = bench.pick(30_000, 8_000)
    bench.receiver.mark()
    sent = traffic.publish(bench, lists=True, connections=2, requests=count // traffic.LIST_LENGTH)
    bench.receiver.wait_for(count, seconds=60)
    bench.wait_idle(seconds=10)
    requests = bench.receiver.requests()
    with bench.engine.connect() as conn:
        rows = ledger.finished_deliveries(conn)
    if not (rows.done == len(requests) == len({id_ for _, id_ in requests}) == count):
        raise NoResult(f"{count} events, but {len(requests)} requests and {rows}")
    end = max(rows.last, requests[-1][0])
    return [
        Figure("events published and delivered", count / (end - min(sent.due)), "1/s", at_least=2000),
        Figure("events accepted meanwhile", sent.rate * traffic.LIST_LENGTH, "1/s"),
    ]
