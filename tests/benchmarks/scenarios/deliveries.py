"""Deliveries per second of one deliver worker, with one and with two pool processes; see `drain.backlog`."""

from __future__ import annotations

from tests.benchmarks import drain, traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.running import Bench


def run(bench: Bench) -> list[Figure]:
    """Deliver the same backlog with each."""
    count = bench.pick(25_000, 8_000)

    def publish() -> None:
        traffic.publish(bench, lists=True, connections=2, requests=count // traffic.LIST_LENGTH)

    found = {
        processes: drain.backlog(bench, publish, count, processes=processes)
        for processes in ((1,) if bench.quick else (1, 2))
    }
    best = max(found, key=lambda processes: found[processes][0])
    bench.deliveries_per_second, drained = found[best]
    bench.delivery_cpu_ms = drained.cpu_ms
    tried = ", ".join(f"-c {processes}: {rate:.0f}/s" for processes, (rate, _) in found.items())
    return [
        Figure(
            "recorded deliveries of one worker", bench.deliveries_per_second, "1/s", at_least=5000,
            note=f"the best of {tried}; backlog of {count:,}",
        ),
        Figure("CPU for each delivery: worker, Postgres, Valkey", drained.cpu_ms, "ms", note=f"-c {best}"),
    ]  # fmt: skip
