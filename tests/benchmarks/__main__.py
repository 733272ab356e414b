"""`python -m tests.benchmarks`: measures a whole hub and, beside it, what one would write with plain Celery.

Starts everything itself in a directory of its own, which it removes. Exit status: 0 when every promise holds, 1 when
one does not, 2 when something could not be measured.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import requests

from hub.core.errors import HubError
from tests.benchmarks import machine, report
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import NoResult
from tests.benchmarks.running import Bench
from tests.benchmarks.scenarios import ON_DEMAND, SCENARIOS


def main() -> int:
    """Run the chosen scenarios and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a shortened run: under three minutes, rougher figures"
    )
    every = SCENARIOS | ON_DEMAND
    parser.add_argument("--only", action="append", choices=every, help="this scenario; may be repeated")
    parser.add_argument("--json", type=Path, help="the JSON report; bench-results/<time>.json when left out")
    options = parser.parse_args()
    chosen = options.only or list(SCENARIOS)
    path = options.json or Path("bench-results", f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json")
    directory = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    # Under root Postgres runs as another user, who has to get through.
    directory.chmod(0o711)
    try:
        return _run([name for name in every if name in chosen], directory, path, quick=options.quick)
    except (HubError, NoResult, requests.RequestException) as error:
        _say(f"The hub did not start: {error}")
        return 2
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(names: list[str], directory: Path, path: Path, *, quick: bool) -> int:
    every = SCENARIOS | ON_DEMAND
    results: dict[str, list[Figure]] = {}
    unmeasured = 0
    _say("Starting the hub.")
    with Bench(directory, quick=quick) as bench:
        facts = machine.facts(bench.engine, bench.redis_url)
        for name in names:
            start = time.monotonic()
            try:
                results[name] = every[name](bench)
            except (NoResult, requests.RequestException) as error:
                unmeasured += 1
                _say(f"{name}: {error}")
                bench.abandon()
            else:
                _say(f"{name}: {time.monotonic() - start:.0f} s")
    facts["load at end"] = round(os.getloadavg()[0], 2)
    report.print_table(results, facts)
    report.write_json(path, results, facts, quick=quick)
    _say(f"Written to {path}.")
    if unmeasured:
        return 2
    return int(any(figure.holds is False for figures in results.values() for figure in figures))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
