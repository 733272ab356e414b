"""Executions whose answer is kept: one worker, many equal calls, a handful of which reach the service."""

from __future__ import annotations

import json

from tests.benchmarks import ledger, traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import NoResult
from tests.benchmarks.running import Bench

_BATCH = 500
_KEYS = 10


def run(bench: Bench) -> list[Figure]:
    """Batches of calls with ten different inputs; each input's answer is known before."""
    count = bench.pick(6000, 1000)
    items = [{"operation": "get_kept", "input": {"path": {"id": n % _KEYS}}} for n in range(_BATCH)]
    body = json.dumps({"items": items})
    bench.fresh()
    bench.service.mark()
    path = f"/v1{bench.integration}/execute-batch"
    for item in items[:_KEYS]:
        bench.call("POST", f"{bench.integration}/execute", item)
    bench.service.wait_for(_KEYS, seconds=20)
    bench.wait_idle(seconds=10)
    sent = traffic.send(bench, path, [body], expected=202, connections=1, requests=count // _BATCH)
    bench.wait_idle(seconds=60)
    with bench.engine.connect() as conn:
        rows = ledger.finished_executions(conn)
    if not rows.total == rows.done == count + _KEYS:
        raise NoResult(f"{count + _KEYS} executions, but {rows}")
    if bench.service.count() != _KEYS:
        raise NoResult(f"the service was called {bench.service.count()} times, not {_KEYS}")
    return [
        Figure(
            "executions answered from the cache, one worker, in batches of 500",
            count / (float(rows.last) - min(sent.due)),
            "1/s",
            at_least=1000,
            note="first request sent to last result recorded",
        )
    ]
