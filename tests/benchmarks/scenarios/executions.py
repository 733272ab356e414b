"""Executions: a GET with a bearer token against a local JSON service, made by one worker of one and of two processes."""

from __future__ import annotations

import json

from tests.benchmarks import ledger, traffic
from tests.benchmarks.figures import Figure, latency_figures
from tests.benchmarks.program import NoResult
from tests.benchmarks.running import Bench

_BATCH = 500
_ITEM = {"operation": "get_user", "input": {"path": {"id": 42}}}


def run(bench: Bench) -> list[Figure]:
    """Batches flat out, then single ones at 50/s with and without a client that waits for the result."""
    count = bench.pick(4000, 2000)
    found = {1: _rate(bench, count)}
    if not bench.quick:
        with bench.stopped("execute"), bench.worker("execute", processes=2):
            found[2] = _rate(bench, count)
    bench.executions_per_second = max(found.values())
    tried = ", ".join(f"-c {processes}: {rate:.0f}/s" for processes, rate in found.items())

    seconds = bench.pick(8, 3)
    _clear(bench)
    single = _post(bench, "/execute", json.dumps(_ITEM), 202, connections=32, rate=50, seconds=seconds)
    _finish(bench, len(single.due))
    with bench.engine.connect() as conn:
        recorded = ledger.execution_seconds(conn)
    waited = _post(
        bench, "/execute", json.dumps(_ITEM), 200, connections=32, rate=50, seconds=seconds,
        headers={"Prefer": "wait=10"},
    )  # fmt: skip
    return [
        Figure(
            "executions of one worker, accepted in batches of 500", bench.executions_per_second, "1/s",
            at_least=300, note=f"first request sent to last result recorded; the best of {tried}",
        ),
        *latency_figures("50/s, accepted to result recorded", recorded, p95_at_most=250, note="database clock"),
        *latency_figures("50/s with Prefer: wait, due to answered with the result", waited.seconds),
    ]  # fmt: skip


def _rate(bench: Bench, count: int) -> float:
    """Executions per second, after a few that warm up."""
    batch = json.dumps({"items": [_ITEM] * _BATCH})
    for requests in (1, count // _BATCH):
        _clear(bench)
        sent = _post(bench, "/execute-batch", batch, 202, connections=1, requests=requests)
        end = _finish(bench, requests * _BATCH)
    return count / (end - min(sent.due))


def _post(
    bench: Bench,
    route: str,
    body: str,
    expected: int,
    *,
    connections: int,
    rate: float | None = None,
    seconds: float | None = None,
    requests: int | None = None,
    headers: dict[str, str] | None = None,
) -> traffic.Sent:
    path = f"/v1{bench.integration}{route}"
    return traffic.send(
        bench, path, [body], expected=expected, connections=connections, headers=headers, rate=rate,
        seconds=seconds, requests=requests,
    )  # fmt: skip


def _clear(bench: Bench) -> None:
    bench.fresh()
    bench.service.mark()


def _finish(bench: Bench, count: int) -> float:
    """Wait for so many executions; the Unix time when the last one was recorded."""
    bench.service.wait_for(count, seconds=40)
    bench.wait_idle(seconds=10)
    with bench.engine.connect() as conn:
        rows = ledger.finished_executions(conn)
    if not (rows.total == rows.done == rows.attempts == count):
        raise NoResult(f"{count} executions, but {rows}")
    return float(rows.last)
