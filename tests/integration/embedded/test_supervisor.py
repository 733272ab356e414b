"""The supervisor with real processes, killed and signalled from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import until


class Hub:
    """A running `dummy_hub`, and what it printed so far."""

    def __init__(self, directory: Path, scenario: str) -> None:
        self.directory = directory
        self.log = directory / "output"
        with self.log.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.embedded.dummy_hub", str(directory), scenario],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def pid(self, name: str) -> int:
        until(lambda: self.read(f"{name}.pid") != "")
        return int(self.read(f"{name}.pid"))

    def read(self, name: str) -> str:
        path = self.directory / name
        return path.read_text() if path.exists() else ""

    def printed(self, text: str) -> bool:
        return text in self.log.read_text()

    def wait_ready(self) -> None:
        until(lambda: self.printed("| ready"))


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[[str], Hub]]:
    started: list[Hub] = []

    def start(scenario: str) -> Hub:
        started.append(Hub(tmp_path, scenario))
        return started[-1]

    yield start
    for hub in started:
        hub.popen.kill()
        hub.popen.wait()


def gone(pid: int) -> bool:
    """Whether a process that is not our child has ended (a zombie that nobody collected has ended too)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_children_start_in_order_and_stop_in_reverse_order_foundations_last(
    launch: Callable[[str], Hub],
) -> None:
    hub = launch("plain")
    hub.wait_ready()
    hub.popen.send_signal(signal.SIGTERM)
    assert hub.popen.wait(10) == 0
    assert hub.read("starts").split() == ["base", "first", "second"]
    stops = hub.read("stops").split()
    assert sorted(stops) == ["base", "first", "second"]
    assert stops[-1] == "base"


def test_every_line_carries_the_name_of_its_process(launch: Callable[[str], Hub]) -> None:
    hub = launch("plain")
    until(lambda: hub.printed("second     | serving"))
    assert hub.printed("base       | serving")


def test_ctrl_c_ends_everything_grandchildren_included(launch: Callable[[str], Hub]) -> None:
    hub = launch("plain")
    hub.wait_ready()
    pids = [hub.pid(name) for name in ("base", "first", "first-child", "second")]
    hub.popen.send_signal(signal.SIGINT)
    assert hub.popen.wait(10) == 0
    until(lambda: all(gone(pid) for pid in pids))


def test_a_child_that_ignores_the_stop_signal_is_killed(launch: Callable[[str], Hub]) -> None:
    hub = launch("stubborn")
    hub.wait_ready()
    pids = [hub.pid(name) for name in ("base", "first", "first-child")]
    hub.popen.send_signal(signal.SIGTERM)
    assert hub.popen.wait(10) == 0
    assert hub.printed("first did not stop in time")
    until(lambda: all(gone(pid) for pid in pids))


def test_a_crashed_child_is_started_again_and_its_own_children_are_not_left_over(
    launch: Callable[[str], Hub],
) -> None:
    hub = launch("plain")
    hub.wait_ready()
    first, grandchild = hub.pid("first"), hub.pid("first-child")
    os.kill(first, signal.SIGKILL)
    until(lambda: hub.printed("first was killed by SIGKILL; starting it again in 0.5 s"))
    until(lambda: hub.printed("first is back"))
    assert hub.pid("first") != first
    until(lambda: gone(grandchild))


def test_nothing_outlives_a_supervisor_that_was_killed(launch: Callable[[str], Hub]) -> None:
    hub = launch("plain")
    hub.wait_ready()
    pids = [hub.pid(name) for name in ("base", "first", "first-child", "second")]
    hub.popen.kill()
    hub.popen.wait()
    until(lambda: all(gone(pid) for pid in pids))


def test_a_child_that_never_serves_ends_the_start_with_a_sentence(launch: Callable[[str], Hub]) -> None:
    hub = launch("broken")
    assert hub.popen.wait(10) == 1
    assert hub.printed("broken ended with exit code 7 before it was ready")
    until(lambda: gone(hub.pid("base")))


def test_a_child_that_runs_once_is_not_started_again(launch: Callable[[str], Hub]) -> None:
    hub = launch("once")
    hub.wait_ready()
    until(lambda: hub.printed("once ended with exit code 0."))
    assert hub.popen.poll() is None
    assert hub.log.read_text().count("did it") == 1
