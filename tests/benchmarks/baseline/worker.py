"""Starts the baseline's producer and worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from hub.embedded.process import Child, Output, Process
from tests.benchmarks import program

#: A Valkey database of its own on the hub's server.
_DATABASE = 9


class Baseline:
    """The plain Celery application beside the hub.

    Args:
        redis_url: the hub's Valkey.
        output: where the worker's output goes.
    """

    def __init__(self, redis_url: str, output: Output) -> None:
        self._env = {
            "BASELINE_BROKER_URL": f"redis+socket://{urlsplit(redis_url).path}?virtual_host={_DATABASE}"
        }
        self._output = output

    def publish(self, spec: dict[str, Any]) -> float:
        """Publish tasks from one producer; tasks per second."""
        return float(program.run("tests.benchmarks.baseline.producer", spec, env=self._env, seconds=60))

    @contextmanager
    def worker(self, size: int) -> Iterator[int]:
        """A worker with Celery's default pool (prefork) of this size, for the time of a `with` block; its pid."""
        argv = [sys.executable, "-m", "celery", "--quiet", "-A", "tests.benchmarks.baseline.app", "worker"]
        child = Child(
            name="baseline",
            argv=[*argv, "-c", str(size), "-l", "WARNING"],
            env={**os.environ, **self._env},
            stop_timeout=10,
        )
        process = Process(child, self._output)
        process.start()
        try:
            assert process.pid is not None
            yield process.pid
        finally:
            process.stop()
