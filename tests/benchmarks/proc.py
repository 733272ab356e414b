"""CPU time, memory and priority of processes, as Linux has them; zero elsewhere.

A rate depends on what else the machine does; CPU for each unit of work hardly does.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

#: The load generator and the receivers stand for other machines: they get a core when they have something to do.
_NICE = -10
_LINE = re.compile(r"^(Rss|Pss): +(\d+) kB$", re.MULTILINE)


class Memory(NamedTuple):
    """Resident memory, MB (10⁶ bytes).

    Args:
        rss: with all of what it shares with other processes.
        pss: what is shared divided by the number of sharers.
    """

    rss: float
    pss: float


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


def cpu_seconds(pid: int) -> float:
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


def memory(pid: int) -> Memory:
    """Memory of one process."""
    try:
        found = dict(_LINE.findall(Path(f"/proc/{pid}/smaps_rollup").read_text()))
    except OSError:
        return Memory(0.0, 0.0)
    return Memory(int(found["Rss"]) * 1024 / 1e6, int(found["Pss"]) * 1024 / 1e6)


def prefer(pid: int) -> None:
    """Raise the priority of a process that stands for another machine.

    Only root may; otherwise its own waiting for a core is part of the times that it measures.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _NICE)
        # Where each session is a scheduling group of its own (sched(7)), the group counts.
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICE))
