"""A tiny process that outlives the supervisor by a moment and takes its children along.

It reads `+GROUP SIGNAL` and `-GROUP` lines from its standard input. When the input ends, which the kernel
brings about even when the other side was killed with `kill -9`, it sends each remaining process group its
signal and, after a grace period, SIGKILL. So grandchildren (the pool processes of a Celery worker) die
too, on macOS as on Linux.

Runs as a script of its own in a session of its own; imports nothing of the hub.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import TextIO

GRACE_SECONDS = 10.0


def read_groups(stream: TextIO) -> dict[int, int]:
    """Follow the registrations until the stream ends.

    Returns:
        The groups that were still registered, each with its signal.
    """
    groups: dict[int, int] = {}
    for line in stream:
        verb, numbers = line[0], line[1:].split()
        if verb == "+":
            groups[int(numbers[0])] = int(numbers[1])
        else:
            groups.pop(int(numbers[0]), None)
    return groups


def kill_groups(groups: dict[int, int], *, grace: float) -> None:
    """Signal every group, wait up to `grace` seconds for all to end, then kill what is left."""
    alive = {group for group, number in groups.items() if _send(group, number)}
    deadline = time.monotonic() + grace
    while alive and time.monotonic() < deadline:
        time.sleep(0.05)
        alive = {group for group in alive if _send(group, 0)}
    for group in alive:
        _send(group, signal.SIGKILL)


def _send(group: int, number: int) -> bool:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def main() -> None:
    """Wait for the other side's end, then clean up after it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    kill_groups(read_groups(sys.stdin), grace=GRACE_SECONDS)


if __name__ == "__main__":
    main()
