"""`hub demo`, as a user runs it: against a hub that runs, and alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.stack import RunningHub, free_port

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

_ROOT = Path(__file__).parents[2]


def run_demo(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub.cli.main", "demo", *arguments],
        env={**os.environ, **environ},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def check_report(answer: subprocess.CompletedProcess[str]) -> None:
    assert answer.returncode == 0, answer.stdout + answer.stderr
    report = json.loads(answer.stdout)
    assert report["problems"] == []
    assert report["published"] == 2000
    assert report["disabled"] == {"gone": "gone"}
    assert {name: one["status"] for name, one in report["health"].items()} == {
        "open": "healthy",
        "unsteady": "unhealthy",
    }
    tallies = {tally["what"]: tally for tally in report["tallies"]}
    assert tallies["executions"]["states"] == {"done": 165, "failed": 35}
    assert tallies["healthy"]["states"] == {"done": 2000}
    assert tallies["flaky"]["states"] == {"done": 800}
    assert tallies["flaky"]["retried"] >= 300
    assert sum(tallies["gone"]["states"].values()) == 1200
    assert set(tallies["gone"]["states"]) <= {"failed", "held"}


def test_the_demo_finds_nothing_missing_on_a_hub_that_runs(hub: RunningHub) -> None:
    check_report(run_demo({**hub.environ, "HUB_URL": hub.url}, "--json"))


def test_the_demo_alone_starts_a_hub_and_leaves_nothing_running(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    answer = run_demo(
        {"HUB_DATA_DIR": str(tmp_path / "data"), "HUB_EGRESS_ALLOW": "", "HUB_EGRESS_PORTS": ""}, "--json"
    )
    check_report(answer)
    assert "calls may reach this machine" in answer.stderr
    assert not (tmp_path / "data" / "postgres" / "data" / "postmaster.pid").exists()


def test_a_hub_that_does_not_answer_is_one_sentence(hub: RunningHub) -> None:
    answer = run_demo({**hub.environ, "HUB_URL": f"http://127.0.0.1:{free_port()}"})
    assert answer.returncode == 1
    assert "could not be reached" in answer.stderr
    assert "Traceback" not in answer.stderr
