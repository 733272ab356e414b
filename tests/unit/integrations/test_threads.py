from __future__ import annotations

import threading
import time

import pytest

from hub.integrations.threads import ThreadRunner


def drain(runner: ThreadRunner[int, str], count: int) -> list[str]:
    found: list[str] = []
    deadline = time.monotonic() + 10
    while len(found) < count:
        assert time.monotonic() < deadline
        found += runner.poll(0.05)
    return found


def test_every_job_has_one_result_and_no_more_run_at_once_than_allowed() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(job: int) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.001)
        with lock:
            running -= 1
        return str(job)

    runner: ThreadRunner[int, str] = ThreadRunner(work, str, capacity=8)
    for job in range(200):
        runner.add(job)
    assert sorted(drain(runner, 200), key=int) == [str(job) for job in range(200)]
    assert runner.in_flight == 0
    assert 2 <= most <= 8


def test_threads_are_made_only_for_work() -> None:
    before = threading.active_count()
    runner: ThreadRunner[int, str] = ThreadRunner(str, str, capacity=50)
    for job in range(5):
        runner.add(job)
        drain(runner, 1)
    assert threading.active_count() - before <= 1


def test_giving_up_answers_for_every_call_and_drops_what_comes_later() -> None:
    gate, begun = threading.Event(), threading.Semaphore(0)

    def work(job: int) -> str:
        if job:
            begun.release()
            gate.wait(10)
        return f"done {job}"

    runner: ThreadRunner[int, str] = ThreadRunner(work, lambda job: f"cut {job}", capacity=2)
    for job in (1, 2, 3):
        runner.add(job)
    assert begun.acquire(timeout=5)
    assert begun.acquire(timeout=5)
    assert sorted(runner.abort()) == ["cut 1", "cut 2", "cut 3"]
    assert runner.in_flight == 0
    gate.set()
    runner.add(0)
    assert drain(runner, 1) == ["done 0"]
    assert runner.poll(0.05) == []


def test_a_call_that_raises_is_a_result_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    def work(job: int) -> str:
        raise RuntimeError(job)

    runner: ThreadRunner[int, str] = ThreadRunner(work, lambda job: f"cut {job}", capacity=1)
    runner.add(1)
    assert drain(runner, 1) == ["cut 1"]
    assert "must not" in caplog.text


def test_a_poll_can_be_woken() -> None:
    runner: ThreadRunner[int, str] = ThreadRunner(str, str, capacity=1)
    threading.Timer(0.05, runner.wake).start()
    begun = time.monotonic()
    assert runner.poll(10) == []
    assert time.monotonic() - begun < 5


def test_a_call_that_never_ends_is_given_up_and_its_place_goes_to_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = threading.Event()

    def work(job: int) -> str:
        if job == 1:
            gate.wait(20)
        return f"done {job}"

    runner: ThreadRunner[int, str] = ThreadRunner(
        work, lambda job: f"cut {job}", capacity=1, patience=lambda _job: 0.1
    )
    runner.add(1)
    assert drain(runner, 1) == ["cut 1"]
    assert runner.in_flight == 0
    assert "did not end in its time" in caplog.text
    runner.add(2)
    assert drain(runner, 1) == ["done 2"]
    gate.set()
    for job in range(3, 9):
        runner.add(job)
    # What the late one brings is dropped, and its thread is none of those that count.
    assert drain(runner, 6) == [f"done {job}" for job in range(3, 9)]
    assert runner._threads <= 1
