"""Memory of the worker processes after the scenarios before this one, as Linux counts it; nothing elsewhere.

RSS counts pages that processes share in each of them; PSS divides them by the number of sharers.
"""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import proc
from tests.benchmarks.figures import Figure
from tests.benchmarks.running import Bench

_WORKERS = ("deliver", "execute", "system")


def run(bench: Bench) -> list[Figure]:
    """RSS and PSS of each worker's main process and pool processes."""
    if not Path("/proc/self/smaps_rollup").exists():
        return []
    figures = []
    for worker in _WORKERS:
        main, *pool = proc.descendants(bench.pid(worker))
        for role, pid in (("main", main), *(("pool", child) for child in pool)):
            found = proc.memory(pid)
            figures += [
                Figure(f"{worker} worker, {role} process, RSS", found.rss, "MB"),
                Figure(f"{worker} worker, {role} process, PSS", found.pss, "MB"),
            ]
    return figures
