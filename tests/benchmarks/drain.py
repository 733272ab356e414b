"""Watches a backlog being worked off, the same way for the hub and for the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks import proc
from tests.benchmarks.program import LoggedServer
from tests.benchmarks.running import Bench


@dataclass(frozen=True, slots=True)
class Drained:
    """What was seen of it.

    Args:
        times: Unix time of each request, in order.
        cpu_ms: CPU milliseconds for each request, of the processes that were named together.
    """

    times: list[float]
    cpu_ms: float

    @property
    def rate(self) -> float:
        """Requests for each second from the first to the last."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])


def watch(server: LoggedServer, count: int, pids: Sequence[int], *, seconds: float) -> Drained:
    """Wait until the server has seen so many requests.

    CPU is counted from when the first ones were seen, which leaves the start of a worker out.

    Args:
        server: who is called.
        count: requests since its mark.
        pids: the processes that do the work; their descendants count.
        seconds: the longest it may take.

    Raises:
        NoResult: it took longer.
    """
    server.wait_for(1, seconds=seconds)
    seen, before = server.count(), sum(map(proc.cpu_seconds, pids))
    server.wait_for(count, seconds=seconds)
    spent = sum(map(proc.cpu_seconds, pids)) - before
    return Drained([one.at for one in server.requests()], spent * 1000 / max(1, count - seen))


def backlog(
    bench: Bench, publish: Callable[[], object], count: int, *, processes: int = 1, calls: int | None = None
) -> tuple[float, Drained]:
    """Publish while the deliver worker is stopped, then let one deliver it.

    Args:
        bench: the run.
        publish: makes the backlog.
        count: deliveries that it makes.
        processes: of the worker.
        calls: requests that are expected at least, when that is not one for each delivery.

    Returns:
        Deliveries per second from the first request that the receiver sees to the last delivery that is recorded in
        its row, fan-out of the messages included, the worker's start excluded; and what the receiver saw.

    Raises:
        NoResult: it took too long, or rows and receiver do not agree.
    """
    with bench.stopped("deliver"):
        bench.fresh()
        publish()
        if processes > 1:
            with bench.worker("deliver", processes=processes):
                return _drain(bench, count, calls or count)
    return _drain(bench, count, calls or count)


def _drain(bench: Bench, count: int, calls: int) -> tuple[float, Drained]:
    pids = [bench.pid("deliver"), *bench.server_pids]
    drained = watch(bench.receiver, calls, pids, seconds=60)
    rows = bench.wait_recorded(count, seconds=30)
    times = [one.at for one in bench.receiver.requests()]
    return count / (max(rows.last, times[-1]) - times[0]), drained
