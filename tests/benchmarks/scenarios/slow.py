"""Thousands of slow receivers at once in one worker process: calls in flight and memory."""

from __future__ import annotations

import time

from tests.benchmarks import proc, traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import Seen
from tests.benchmarks.running import Bench

_ANSWER_SECONDS = 10


def run(bench: Bench) -> list[Figure]:
    """One event to endpoints that answer after ten seconds; the worker has room for a call to each."""
    count = bench.pick(2_000, 500)
    # What waits in lanes may have half of the calls.
    capacity = count * 2
    audience = bench.audience("slow", count, answer=f"/slow/{_ANSWER_SECONDS}")
    with bench.stopped("deliver"):
        bench.fresh()
        with bench.worker("deliver", HUB_DELIVER_IN_FLIGHT=str(capacity)):
            before = _memory(bench)
            traffic.publish(
                bench, types=[audience.everybody], headers=audience.headers, connections=1, requests=1
            )
            bench.receiver.wait_for(1, seconds=20)
            peak = before
            while bench.receiver.count() < count and time.time() < bench.receiver.requests()[0].at + 60:
                time.sleep(0.5)
                peak = max(peak, _memory(bench))
            time.sleep(1)
            peak = max(peak, _memory(bench))
            bench.wait_recorded(count, seconds=60)
            peak = max(peak, _memory(bench))
    seen = bench.receiver.requests()
    rss, pss = peak
    return [
        Figure(
            f"calls in flight at once, {count:,} receivers that take {_ANSWER_SECONDS} s", _at_once(seen), "",
            note=f"HUB_DELIVER_IN_FLIGHT={capacity}, one pool process",
        ),
        Figure("from the first call to the last", seen[-1].at - seen[0].at, "s"),
        Figure("memory of that worker, main and pool process, PSS", pss, "MB", at_most=300),
        Figure("the same, RSS of the pool process", rss, "MB", at_most=300),
        Figure("RSS of the pool process before", before.rss, "MB"),
    ]  # fmt: skip


def _memory(bench: Bench) -> proc.Memory:
    """RSS of the pool process, PSS of all."""
    found = [proc.memory(pid) for pid in proc.descendants(bench.pid("deliver"))]
    return proc.Memory(max(one.rss for one in found[1:] or found), sum(one.pss for one in found))


def _at_once(seen: list[Seen]) -> int:
    """The most calls that the receiver held at one moment: each from its arrival until it is answered."""
    most = first = 0
    for index, one in enumerate(seen):
        while seen[first].at <= one.at - _ANSWER_SECONDS:
            first += 1
        most = max(most, index - first + 1)
    return most
