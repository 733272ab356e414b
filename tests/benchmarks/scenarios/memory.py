"""Memory of the worker processes after the scenarios before this one, as Linux counts it; nothing elsewhere.

RSS counts pages that processes share in each of them; PSS divides them by the number of sharers.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.benchmarks import cpu
from tests.benchmarks.figures import Figure
from tests.benchmarks.running import Bench

_WORKERS = ("deliver", "execute", "system")
_LINE = re.compile(r"^(Rss|Pss): +(\d+) kB$", re.MULTILINE)


def run(bench: Bench) -> list[Figure]:
    """RSS and PSS of each worker's main process and pool processes."""
    if not Path("/proc/self/smaps_rollup").exists():
        return []
    figures = []
    for worker in _WORKERS:
        main, *pool = cpu.descendants(bench.pid(worker))
        for role, pid in (("main", main), *(("pool", child) for child in pool)):
            found = dict(_LINE.findall(Path(f"/proc/{pid}/smaps_rollup").read_text()))
            figures += [
                Figure(f"{worker} worker, {role} process, {kind.upper()}", int(found[kind]) / 1024, "MiB")
                for kind in ("Rss", "Pss")
            ]
    return figures
