"""The producer: a spec as JSON on its input (`task`, `count`, the task's arguments), the rate as JSON on its output."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from tests.benchmarks.baseline.app import call, deliver


def publish(spec: dict[str, Any]) -> float:
    """Publish so many tasks one after the other; tasks per second."""
    start = time.perf_counter()
    for number in range(spec["count"]):
        if spec["task"] == "deliver":
            deliver.delay(spec["url"], f"evt_{number}", spec["type"], spec["data"])
        else:
            call.delay(spec["url"], spec["token"])
    return float(spec["count"] / (time.perf_counter() - start))


if __name__ == "__main__":
    json.dump(publish(json.load(sys.stdin)), sys.stdout)
