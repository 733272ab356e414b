"""Watches a backlog being worked off, the same way for the hub and for the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks import cpu
from tests.benchmarks.program import LoggedServer


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
    seen, before = server.count(), sum(map(cpu.seconds, pids))
    server.wait_for(count, seconds=seconds)
    spent = sum(map(cpu.seconds, pids)) - before
    return Drained([time for time, _ in server.requests()], spent * 1000 / max(1, count - seen))
