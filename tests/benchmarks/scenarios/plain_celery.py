"""The baseline on the same Valkey, receiver and cores: one plain Celery task for each delivery, and for each execution.

Each is given a backlog first, then a worker; its rate is read from the receiver's log, first request to last. The
hub's deliver and execute workers are stopped meanwhile. Several pool sizes are tried; the best one counts.
"""

from __future__ import annotations

from typing import Any

from tests.benchmarks import drain, traffic
from tests.benchmarks.baseline.worker import Baseline
from tests.benchmarks.drain import Drained
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import LoggedServer
from tests.benchmarks.running import Bench
from tests.benchmarks.service import TOKEN


def run(bench: Bench) -> list[Figure]:
    """Measure both, and compare them with what the hub did in this run."""
    baseline = Baseline(bench.redis_url, bench.output)
    count = bench.pick(1200, 600)
    deliver = {
        "task": "deliver",
        "url": f"{bench.receiver.url}/ok",
        "type": bench.home.types[0],
        "data": traffic.DATA,
        "count": count,
    }
    call = {"task": "call", "url": f"{bench.service.url}/users/42", "token": TOKEN, "count": count}
    sizes = (2,) if bench.quick else (1, 2, 4)
    with bench.stopped("deliver", "execute"):
        deliveries = {size: _drain(bench, baseline, bench.receiver, deliver, size) for size in sizes}
        executions = {size: _drain(bench, baseline, bench.service, call, size) for size in sizes}
    _, best = _best(deliveries)

    figures = [
        *_figures("deliveries", deliveries),
        *_figures("executions", executions),
    ]
    if bench.deliveries_per_second:
        ratio = bench.deliveries_per_second / best.rate
        figures.append(Figure("hub's deliveries to plain Celery's", ratio, "x", at_least=10))
    if bench.delivery_cpu_ms:
        figures.append(
            Figure("plain Celery's CPU for a delivery to the hub's", best.cpu_ms / bench.delivery_cpu_ms, "x")
        )
    if bench.executions_per_second:
        ratio = bench.executions_per_second / _best(executions)[1].rate
        figures.append(Figure("hub's executions to plain Celery's", ratio, "x", at_least=2))
    return figures


def _drain(
    bench: Bench, baseline: Baseline, server: LoggedServer, spec: dict[str, Any], size: int
) -> Drained:
    """Publish a backlog, then start a worker of this size."""
    server.mark()
    baseline.publish(spec)
    with baseline.worker(size) as pid:
        return drain.watch(server, spec["count"], [pid, *bench.server_pids], seconds=60)


def _best(found: dict[int, Drained]) -> tuple[int, Drained]:
    return max(found.items(), key=lambda item: item[1].rate)


def _figures(what: str, found: dict[int, Drained]) -> list[Figure]:
    size, best = _best(found)
    tried = ", ".join(f"-c {n}: {drained.rate:.0f}/s" for n, drained in found.items())
    return [
        Figure(f"{what}, one task each", best.rate, "1/s", note=f"the best of {tried}"),
        Figure(f"CPU for each of the {what}: worker, Valkey", best.cpu_ms, "ms", note=f"-c {size}"),
    ]
