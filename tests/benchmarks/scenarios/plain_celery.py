"""The baseline on the same Valkey, receiver and cores: one plain Celery task for each delivery, and for each execution.

Each is given a backlog first, then a worker; its rate is read from the receiver's log, first request to last. The
hub's deliver and execute workers are stopped meanwhile. Several pool sizes are tried; the best one counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.benchmarks import traffic
from tests.benchmarks.baseline.worker import Baseline
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import LoggedServer
from tests.benchmarks.running import Bench
from tests.benchmarks.service import TOKEN


def run(bench: Bench) -> list[Figure]:
    """Measure both, and compare them with what the hub did in this run."""
    for name in ("deliver", "execute"):
        bench.stop(name)
    sizes = (2,) if bench.quick else (1, 2, 4)
    count = bench.pick(2000, 800)
    baseline = Baseline(bench.redis_url, bench.output)
    deliver = {
        "task": "deliver",
        "url": f"{bench.receiver.url}/ok",
        "data": traffic.DATA,
        "type": traffic.EVENT_TYPE,
    }
    call = {"task": "call", "url": f"{bench.service.url}/users/42", "token": TOKEN}
    sent, rates = _measure(baseline, bench.receiver, deliver, count, sizes)
    _, calls = _measure(baseline, bench.service, call, count, sizes)
    for name in ("deliver", "execute"):
        bench.start(name)

    size, call_size = max(rates, key=rates.__getitem__), max(calls, key=calls.__getitem__)
    figures = [
        Figure("deliveries, one task each", rates[size], "1/s", note=f"best pool: -c {size}; {_show(rates)}"),
        Figure(
            "executions, one task each",
            calls[call_size],
            "1/s",
            note=f"best pool: -c {call_size}; {_show(calls)}",
        ),
        Figure("tasks published by one producer", sent, "1/s"),
    ]
    if bench.deliveries_per_second:
        ratio = bench.deliveries_per_second / rates[size]
        figures.append(Figure("hub's deliveries to plain Celery's", ratio, "x", at_least=10))
    if bench.executions_per_second:
        ratio = bench.executions_per_second / calls[call_size]
        figures.append(Figure("hub's executions to plain Celery's", ratio, "x"))
    return figures


def _measure(
    baseline: Baseline, server: LoggedServer, spec: Mapping[str, object], count: int, sizes: tuple[int, ...]
) -> tuple[float, dict[int, float]]:
    """Tasks published a second (the best), and requests a second by pool size."""
    sent = 0.0
    rates: dict[int, float] = {}
    for size in sizes:
        server.mark()
        sent = max(sent, baseline.publish({**spec, "count": count}))
        with baseline.worker(size):
            server.wait_for(count, seconds=60)
        times = [time for time, _ in server.requests()]
        rates[size] = (len(times) - 1) / (times[-1] - times[0])
    return sent, rates


def _show(rates: dict[int, float]) -> str:
    return ", ".join(f"-c {size}: {rate:.0f}/s" for size, rate in rates.items())
