"""Exec shim: dress a new process, then become the program that it is to run.

Runs as a script of its own (`python -I -S deathsig.py PARENT SIGNAL UID GID -- PROGRAM ARG…`), between
fork and the real program, because the alternative, Python code in the forked child of a process with
threads, can deadlock. It

1. drops from root to UID and GID where they are not its own;
2. asks the kernel to send SIGNAL when the parent dies, however it dies (Linux only; elsewhere the reaper
   does it);
3. leaves at once when the parent died before step 2.

The order matters: changing the user clears the request of step 2. The file imports nothing of the hub.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Dress this process and exec the program; returns only by exiting.

    Args:
        argv: parent pid, signal number, uid, gid, `--`, then the program and its arguments.
    """
    parent, signal_number, uid, gid, _, *program = argv
    if int(uid) != os.geteuid():
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and exec would hand that on
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(program[0], program)  # noqa: S606  (no shell is the point)
    except OSError as error:
        sys.exit(f"{program[0]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
