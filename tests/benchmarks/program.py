"""A process of the benchmark's own beside the hub: receiver, service, load generator, baseline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hub.embedded.process import Child, Output, Process
from tests.benchmarks import proc


class NoResult(Exception):
    """A scenario could not be measured; the message says why."""


class Seen(NamedTuple):
    """One request that a server saw.

    Args:
        at: Unix time.
        path: where it went.
        id: its webhook-id; `-` when it has none.
    """

    at: float
    path: str
    id: str


class LoggedServer:
    """A server that writes its port into a file and a line for each request into another.

    Args:
        module: run as `python -m MODULE PORT_FILE LOG_FILE`.
        directory: where those files go.
        outputs: where its own output goes.
    """

    def __init__(self, module: str, directory: Path, outputs: Output) -> None:
        name = module.rsplit(".", 1)[1]
        self._port_file = directory / f"{name}.port"
        self._log_file = directory / f"{name}.requests"
        self._log_file.touch()
        argv = [sys.executable, "-m", module, str(self._port_file), str(self._log_file)]
        self._process = Process(
            Child(name=name, argv=argv, env=dict(os.environ), ready=self._port_file.exists), outputs
        )
        self._process.start()
        if not self._process.wait_ready():
            raise NoResult(f"{module} did not start")
        assert self._process.pid is not None
        proc.prefer(self._process.pid)
        self._lock = threading.Lock()
        self._offset = 0
        self._seen: list[Seen] = []

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self._port_file.read_text()}"

    def mark(self) -> None:
        """Forget the requests so far."""
        self._read()
        with self._lock:
            self._seen = []

    def requests(self, path: str = "") -> list[Seen]:
        """The requests since the mark whose path begins so, in order."""
        self._read()
        with self._lock:
            return [one for one in self._seen if one.path.startswith(path)]

    def count(self, path: str = "") -> int:
        """How many these are."""
        if path:
            return len(self.requests(path))
        self._read()
        return len(self._seen)

    def wait_for(self, count: int, *, seconds: float, path: str = "") -> None:
        """Wait until so many such requests have come since the mark.

        Raises:
            NoResult: they have not, in time.
        """
        deadline = time.monotonic() + seconds
        while (seen := self.count(path)) < count:
            if time.monotonic() > deadline:
                raise NoResult(f"{seen} of {count} requests to {path or '/'} arrived within {seconds:g} s")
            time.sleep(0.1)

    def _read(self) -> None:
        """Read what was logged since the last time, up to the last whole line."""
        with self._lock, self._log_file.open("rb") as log:
            log.seek(self._offset)
            whole, _, _ = log.read().rpartition(b"\n")
            if not whole:
                return
            self._offset += len(whole) + 1
            for line in whole.decode().splitlines():
                at, path, id_, _status = line.split()
                self._seen.append(Seen(float(at), path, id_))

    def stop(self) -> None:
        """End it."""
        self._process.stop()


def run(module: str, spec: Mapping[str, Any], *, env: Mapping[str, str] | None = None, seconds: float) -> Any:
    """Run a module of the benchmark in a process of its own.

    Args:
        module: reads a JSON object from its input and writes one to its output.
        spec: its input; may hold keys, which therefore are on no command line.
        env: variables beside our own.
        seconds: the longest it may take.

    Returns:
        Its output.

    Raises:
        NoResult: it failed; its own words.
    """
    argv: Sequence[str] = [sys.executable, "-m", module]
    try:
        done = subprocess.run(
            argv,
            input=json.dumps(spec),
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            # Its priority is to be its own.
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise NoResult(f"{module} did not end within {seconds:g} s") from None
    if done.returncode:
        raise NoResult(f"{module}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return json.loads(done.stdout)
