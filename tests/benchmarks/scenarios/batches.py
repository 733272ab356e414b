"""What batches of up to 100 events bring: the same backlog for one endpoint without and with them."""

from __future__ import annotations

from tests.benchmarks import drain, traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.running import Audience, Bench

_SIZE = 100


def run(bench: Bench) -> list[Figure]:
    """Deliver it one by one, then in batches."""
    count = bench.pick(20_000, 6_000)
    single = bench.audience("single", 1)
    batched = bench.audience("batched", 1, batch={"size": _SIZE, "wait_seconds": 0.1})
    alone = _rate(bench, single, count, count)
    together = _rate(bench, batched, count, count // _SIZE)
    return [
        Figure(f"events recorded, in batches of {_SIZE}", together, "1/s", note=f"backlog of {count:,}"),
        Figure("events recorded, one in each request", alone, "1/s"),
        Figure("with batches to without", together / alone, "x"),
    ]


def _rate(bench: Bench, audience: Audience, count: int, calls: int) -> float:
    def publish() -> None:
        traffic.publish(
            bench, lists=True, types=audience.types, headers=audience.headers, connections=2,
            requests=count // traffic.LIST_LENGTH,
        )  # fmt: skip

    return drain.backlog(bench, publish, count, calls=calls)[0]
