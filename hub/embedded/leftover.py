"""Servers that a killed hub left behind.

Where the kernel cannot tie a child to its parent (macOS), a `kill -9` may leave a server running; a
second one on the same files would corrupt them. Whoever holds the lock of the data directory ends such a
server before it starts its own. A pid file is never believed alone: after a reboot the number may belong
to anything.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hub.core.errors import ConfigError

if TYPE_CHECKING:
    import signal

_PATIENCE_SECONDS = 15.0


def read_pid(pid_file: Path) -> int | None:
    """The number in the first line of a pid file, or None."""
    with suppress(OSError, ValueError, IndexError):
        return int(pid_file.read_text().split()[0])
    return None


def command_of(pid: int) -> str:
    """The command line of a process; empty when there is no such process."""
    if sys.platform == "linux":
        with suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return ""
    listing = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    answer = subprocess.run(listing, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def end_leftover(pid_file: Path, *, marks: tuple[str, ...], stop_signal: signal.Signals) -> None:
    """End the server that a pid file names, if that process is really it; then remove the pid file.

    The caller holds the lock of the data directory.

    Args:
        pid_file: as the server wrote it.
        marks: texts that the server's command line contains, all of them.
        stop_signal: asks the server to end in good order.

    Raises:
        ConfigError: it did not end.
    """
    pid = read_pid(pid_file)
    if pid is not None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        number: int = stop_signal
        while (command := command_of(pid)) and all(mark in command for mark in marks):
            if time.monotonic() > deadline:
                raise ConfigError(f"Process {pid} of an earlier hub does not end: {command.strip()}")
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            number = 0  # asked once; from here on only watched
            time.sleep(0.05)
    pid_file.unlink(missing_ok=True)
