"""CPU time of processes and all their descendants, as Linux counts it; zero elsewhere.

A rate depends on what else the machine does; CPU for each unit of work hardly does.
"""

from __future__ import annotations

import os
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """The process and everything below it that runs now."""
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += descendants(int(child))
    except OSError:  # it ended meanwhile, or this is not Linux
        pass
    return found


def seconds(pid: int) -> float:
    """CPU seconds of the process and everything below it since they began; children that ended are left out."""
    ticks = 0
    for process in descendants(pid):
        try:
            # The name, in brackets, may hold spaces; utime and stime are fields 14 and 15 (proc(5)).
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
