"""Slow answers: a thousand calls in flight in one execute worker, and what that costs in memory."""

from __future__ import annotations

import json
import time

from tests.benchmarks import ledger, proc, traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import NoResult, Seen
from tests.benchmarks.running import Bench

_SECONDS = 5


def run(bench: Bench) -> list[Figure]:
    """One batch of calls to a service that answers after five seconds."""
    count = bench.pick(1000, 300)
    items = [{"operation": "get_slow", "input": {"path": {"id": n}}} for n in range(count)]
    with bench.stopped("execute"):
        bench.fresh()
        bench.service.mark()
        with bench.worker("execute", HUB_EXECUTE_IN_FLIGHT=str(count)):
            path = f"/v1{bench.integration}/execute-batch"
            sent = traffic.send(
                bench, path, [json.dumps({"items": items})], expected=202, connections=1, requests=1
            )
            peak = proc.Memory(0, 0)
            deadline = time.monotonic() + 60
            while not _finished(bench, count) and time.monotonic() < deadline:
                found = [proc.memory(pid) for pid in proc.descendants(bench.pid("execute"))]
                now = proc.Memory(max(one.rss for one in found[1:] or found), sum(one.pss for one in found))
                peak = max(peak, now)
                time.sleep(0.5)
    with bench.engine.connect() as conn:
        rows = ledger.finished_executions(conn)
    if rows.done != count:
        raise NoResult(f"{count} executions, but {rows}")
    seen = bench.service.requests()
    return [
        Figure(
            f"calls in flight at once, of {count:,} to a service that takes {_SECONDS} s", _at_once(seen), "",
            at_least=count * 0.95, note=f"one execute worker, HUB_EXECUTE_IN_FLIGHT={count}",
        ),
        Figure("all of them, accepted to the last result", float(rows.last) - min(sent.due), "s"),
        Figure("memory of that worker, main and pool process, PSS", peak.pss, "MB", at_most=400),
        Figure("the same, RSS of the pool process", peak.rss, "MB", at_most=400),
    ]  # fmt: skip


def _finished(bench: Bench, count: int) -> bool:
    with bench.engine.connect() as conn:
        return bool(ledger.finished_executions(conn).done >= count)


def _at_once(seen: list[Seen]) -> int:
    """The most calls that the service held at one moment."""
    most = first = 0
    for index, one in enumerate(seen):
        while seen[first].at <= one.at - _SECONDS:
            first += 1
        most = max(most, index - first + 1)
    return most
