"""The pump with a source, a runner and a bell that the test plays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy.exc import DataError, OperationalError

from hub.queue import pump as module
from hub.queue.contracts import TaskName
from hub.queue.pump import Pump, Report
from tests.support.waiting import until

TASK = TaskName.DELIVERIES_SEND


def trouble() -> OperationalError:
    return OperationalError("SELECT canary91", {"secret": "canary91"}, Exception("server closed\nmore"))


class Bell:
    """Remembers what it was told; `news` is what it answers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.rings = 0
        self.news = 0
        self.late_news = 0

    def ring(self, task: TaskName, ids: Sequence[str] = ()) -> bool:
        self.rings += 1
        return True

    def wake(self, task: TaskName) -> None:
        self.said.append("wake")

    def sleep(self, task: TaskName) -> None:
        self.said.append("sleep")

    def call_help(self, task: TaskName) -> None:
        self.said.append("help")

    def answered(self, task: TaskName) -> bool:
        had, self.news = self.news, 0
        return bool(had)

    def answered_after_sleep(self, task: TaskName) -> bool:
        self.said.append("last look")
        had, self.late_news = self.late_news, 0
        return bool(had)


@dataclass
class Source:
    """Rows are numbers."""

    due: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    interrupted: list[int] = field(default_factory=list)
    back: list[int] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    claim_faults: list[Exception] = field(default_factory=list)
    write_faults: list[Exception] = field(default_factory=list)
    prepared: list[list[Any]] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    weights: dict[int, int] = field(default_factory=dict)
    beside: list[int] = field(default_factory=list)
    asked_beside: list[int] = field(default_factory=list)
    gate: threading.Event | None = None
    claiming: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def claim(self, limit: int) -> tuple[list[int], bool]:
        self.limits.append(limit)
        self.claiming.set()
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.claim_faults:
            raise self.claim_faults.pop(0)
        with self.lock:
            taken, self.due = self.due[:limit], self.due[limit:]
        return taken, bool(taken)

    def record(self, results: Sequence[tuple[int, bool]]) -> Callable[[], None]:
        number = len(self.prepared)
        self.prepared.append(list(results))

        def write() -> None:
            self.writes.append(number)
            if self.write_faults:
                raise self.write_faults.pop(0)
            self.done += [job for job, finished in results if finished]
            self.interrupted += [job for job, finished in results if not finished]

        return write

    def weigh(self, result: tuple[int, bool]) -> int:
        return self.weights.get(result[0], 0)

    def claim_beside(self, limit: int) -> list[int]:
        self.asked_beside.append(limit)
        taken, self.beside = self.beside[:limit], self.beside[limit:]
        return taken

    def hand_back(self, jobs: Sequence[int]) -> Callable[[], None]:
        return lambda: self.back.extend(jobs)


class Runner:
    """Finishes a job when the test says so, or at once."""

    def __init__(self, *, instant: bool = True) -> None:
        self.instant = instant
        self.flying: list[int] = []
        self.most = 0
        self.finished: list[int] = []
        self.fault: Exception | None = None
        self._news = threading.Event()
        self._lock = threading.Lock()

    @property
    def in_flight(self) -> int:
        return len(self.flying)

    def add(self, job: int) -> None:
        with self._lock:
            self.flying.append(job)
            self.most = max(self.most, len(self.flying))

    def land(self, *jobs: int) -> None:
        with self._lock:
            self.finished += jobs
        self._news.set()

    def poll(self, timeout: float) -> list[tuple[int, bool]]:
        if self.fault is not None:
            raise self.fault
        if not (self.instant and self.flying):
            self._news.wait(timeout)
        self._news.clear()
        with self._lock:
            landed = list(self.flying) if self.instant else self.finished
            self.finished = []
            self.flying = [job for job in self.flying if job not in landed]
        return [(job, True) for job in landed]

    def wake(self) -> None:
        self._news.set()

    def abort(self) -> list[tuple[int, bool]]:
        cut, self.flying = self.flying, []
        return [(job, False) for job in cut]


@dataclass
class Stage:
    """One pump and all that it touches."""

    source: Source
    runner: Runner
    bell: Bell
    stop: threading.Event
    pool: ThreadPoolExecutor

    def pump(
        self,
        *,
        capacity: int = 100,
        reserve: int = 0,
        slice_seconds: float = 30,
        linger: float = 0,
        grace: float = 5,
    ) -> Pump[Any, Any]:
        return Pump(
            TASK, self.source, self.runner, self.bell, capacity=capacity, reserve=reserve, slice_seconds=slice_seconds, linger=linger,  # type: ignore[arg-type]
            grace=grace, stopping=self.stop.is_set,
        )  # fmt: skip

    def start(self, **options: Any) -> Future[Report]:
        return self.pool.submit(self.pump(**options).run)

    def ended(self) -> bool:
        return TASK not in module._running


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ThreadPoolExecutor(2) as pool:
        made = Stage(Source(), Runner(), Bell(), threading.Event(), pool)
        yield made
        made.stop.set()
        if made.source.gate is not None:
            made.source.gate.set()
    assert made.ended()
    assert not [t for t in threading.enumerate() if t.name in {"feeder", "recorder"}]


def test_everything_due_is_run_and_recorded_once(stage: Stage) -> None:
    stage.source.due = list(range(2_500))
    report = stage.pump().run()
    assert sorted(stage.source.done) == list(range(2_500))
    assert (report.claimed, report.recorded, report.handed_back) == (2_500, 2_500, 0)
    assert (report.absorbed, report.rang_again) == (False, False)
    assert stage.bell.rings == 0


def test_a_ring_for_nothing_does_not_linger(stage: Stage) -> None:
    report = stage.start(linger=3600).result(10)
    assert (report.claimed, report.rang_again) == (0, False)
    assert stage.bell.said[-2:] == ["last look", "sleep"]


@pytest.mark.parametrize("capacity", [1, 2, 7, 100])
def test_no_more_than_the_capacity_is_in_flight(stage: Stage, capacity: int) -> None:
    stage.source.due = list(range(300))
    stage.pump(capacity=capacity).run()
    assert len(stage.source.done) == 300
    assert stage.runner.most <= capacity
    assert all(1 <= limit <= capacity for limit in stage.source.limits)


def test_what_is_claimed_but_not_recorded_counts_against_the_capacity(stage: Stage) -> None:
    stage.runner.instant = False
    stage.source.due = list(range(10))
    running = stage.start(capacity=4)
    until(lambda: stage.runner.in_flight == 4)
    until(lambda: "help" in stage.bell.said)
    assert stage.source.due == [4, 5, 6, 7, 8, 9]
    stage.runner.land(0)
    until(lambda: 4 in stage.runner.flying)
    assert stage.runner.in_flight == 4
    stage.runner.instant = True
    assert running.result(10).recorded == 10


def test_a_full_pump_sleeps_and_calls_for_help_and_wakes_with_room(stage: Stage) -> None:
    stage.runner.instant = False
    stage.source.due = [1, 2]
    running = stage.start(capacity=1)
    until(lambda: stage.runner.flying == [1])
    until(lambda: stage.bell.said[:3] == ["wake", "sleep", "help"])
    stage.runner.land(1)
    until(lambda: stage.runner.flying == [2])
    assert stage.bell.said[3] == "wake"
    assert stage.bell.said.count("help") == 1 or stage.bell.said.count("help") == 2
    stage.runner.instant = True
    running.result(10)


def test_an_idle_pump_ends_after_its_linger(stage: Stage) -> None:
    stage.source.due = [1]
    started = time.monotonic()
    report = stage.pump(linger=0.3).run()
    assert 0.3 <= time.monotonic() - started < 5
    assert report == Report(claimed=1, recorded=1)
    assert stage.bell.said[-3:] == ["sleep", "last look", "sleep"]


def test_a_ring_while_it_lingers_is_answered_by_a_look(stage: Stage) -> None:
    stage.source.due = [6]
    running = stage.start(linger=20)
    until(lambda: stage.source.done == [6])
    stage.source.due = [7]
    stage.bell.news = 1
    until(lambda: stage.source.done == [6, 7])
    stage.stop.set()
    running.result(10)


def test_a_ring_that_came_while_it_fell_asleep_is_answered(stage: Stage) -> None:
    stage.source.due = []
    stage.bell.late_news = 1
    stage.pump().run()
    # It looked again after the late ring, awake, and only then ended.
    assert stage.bell.said == ["wake", "sleep", "last look", "wake", "sleep", "last look", "sleep"]
    assert len(stage.source.limits) >= 2


def test_a_second_pump_of_the_same_task_is_absorbed(stage: Stage) -> None:
    stage.source.due = [1]
    running = stage.start(linger=20)
    until(lambda: stage.source.done)
    assert stage.pump().run() == Report(absorbed=True)
    stage.stop.set()
    assert running.result(10).absorbed is False
    stage.stop.clear()
    assert stage.pump().run().absorbed is False


def test_a_pump_whose_slice_is_over_ends_between_calls_and_rings_for_the_next_one(stage: Stage) -> None:
    stage.runner.instant = False
    stage.source.due = [1]
    running = stage.start(capacity=16, slice_seconds=0.2, linger=30)
    until(lambda: stage.runner.in_flight == 1)
    over = time.monotonic() + 0.3
    until(lambda: time.monotonic() > over)  # the slice is over, and one call is slow
    with stage.source.lock:
        stage.source.due = [2]
    until(lambda: stage.runner.in_flight == 2)  # which does not keep new rows waiting
    stage.runner.land(1, 2)
    report = running.result(10)
    assert (report.rang_again, report.recorded, stage.bell.rings) == (True, 2, 1)


def test_a_pump_that_is_never_without_calls_ends_after_its_overtime(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OVERTIME", 0.2)
    stage.source.due = list(range(10_000))
    stage.runner.instant = False
    running = stage.start(capacity=5, slice_seconds=0.2)
    until(lambda: stage.runner.in_flight == 5)
    until(lambda: stage.bell.said[-1] == "sleep" and stage.bell.said.count("sleep") >= 2)
    # What is in flight is finished first; nothing is claimed meanwhile.
    claimed = len(stage.source.limits)
    stage.runner.land(*range(5))
    report = running.result(10)
    assert len(stage.source.limits) == claimed
    assert (report.rang_again, report.recorded, stage.bell.rings) == (True, 5, 1)


def test_calls_of_a_pump_that_was_ended_by_force_are_taken_over(stage: Stage) -> None:
    class TimeIsUp(Exception):
        pass

    stage.source.due = [1, 2]
    stage.runner.instant = False
    running = stage.start(capacity=5, slice_seconds=0.3)
    until(lambda: stage.runner.in_flight == 2)
    over = time.monotonic() + 0.4
    until(lambda: time.monotonic() > over)
    stage.runner.fault = TimeIsUp()
    with pytest.raises(TimeIsUp):
        running.result(10)
    assert stage.bell.rings == 1, "somebody has to look after what is under way"
    stage.runner.fault = None
    after = stage.start(capacity=5)
    stage.runner.land(1, 2)
    assert after.result(10).recorded == 2
    assert sorted(stage.source.done) == [1, 2]


def test_at_shutdown_calls_in_flight_get_their_grace(stage: Stage) -> None:
    stage.runner.instant = False
    stage.source.due = [1, 2]
    running = stage.start(capacity=8, grace=10)
    until(lambda: stage.runner.in_flight == 2)
    stage.stop.set()
    stage.runner.land(1, 2)
    report = running.result(10)
    assert (sorted(stage.source.done), stage.source.interrupted, report.handed_back) == ([1, 2], [], 0)


def test_calls_that_outlast_the_grace_are_recorded_as_interrupted(stage: Stage) -> None:
    stage.runner.instant = False
    stage.source.due = [1, 2, 3]
    running = stage.start(grace=0.1)
    until(lambda: stage.runner.in_flight == 3)
    stage.runner.land(2)
    until(lambda: stage.runner.in_flight == 2)
    stage.stop.set()
    report = running.result(10)
    assert (stage.source.done, sorted(stage.source.interrupted)) == ([2], [1, 3])
    assert report.recorded == 3


def test_rows_that_a_claim_brings_after_the_end_are_handed_back(stage: Stage) -> None:
    stage.source.gate = threading.Event()
    stage.source.due = [1, 2, 3]
    running = stage.start(grace=0)
    assert stage.source.claiming.wait(10)
    stage.stop.set()
    # The runner's side is over long before the claim returns.
    until(lambda: not running.done())
    stage.source.gate.set()
    report = running.result(10)
    assert (sorted(stage.source.back), stage.source.done, report.handed_back) == ([1, 2, 3], [], 3)
    assert stage.runner.in_flight == 0


def test_a_claim_that_fails_is_tried_again(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.source.claim_faults = [trouble(), trouble()]
    stage.source.due = [1]
    assert stage.pump().run().recorded == 1
    assert caplog.text.count("Could not claim (Exception: server closed)") == 2
    assert "canary91" not in caplog.text


def test_a_batch_that_could_not_be_written_is_written_again_as_it_is(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.source.write_faults = [trouble(), trouble()]
    stage.source.due = [1, 2]
    report = stage.pump().run()
    assert (sorted(stage.source.done), report.recorded) == ([1, 2], 2)
    # Prepared once, sent three times: the attempts keep their ids and cannot be recorded twice.
    assert stage.source.writes[:3] == [0, 0, 0]
    assert len(stage.source.prepared) == len(set(stage.source.writes))
    assert "canary91" not in caplog.text


def test_a_result_that_cannot_be_stored_does_not_cost_its_neighbours_theirs(stage: Stage) -> None:
    refused = DataError("UPDATE", {}, Exception("no such text"))
    stage.source.due = [1, 2, 3]
    real = stage.source.record

    def record(results: Sequence[tuple[int, bool]]) -> Callable[[], None]:
        write = real(results)

        def guarded() -> None:
            if any(job == 2 for job, _ in results):
                raise refused
            write()

        return guarded

    stage.source.record = record  # type: ignore[method-assign]
    report = stage.pump().run()
    assert (sorted(stage.source.done), report.recorded) == ([1, 3], 2)


@pytest.mark.parametrize("where", ["judging", "writing"])
def test_a_result_that_cannot_be_judged_or_encoded_costs_neither_its_neighbours_nor_the_pump(
    stage: Stage, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage.source.due = [1, 2, 3]
    real = stage.source.record

    def record(results: Sequence[tuple[int, bool]]) -> Callable[[], None]:
        write = real(results)
        poisoned = any(job == 2 for job, _ in results)
        if poisoned and where == "judging":
            raise TypeError("canary91")

        def guarded() -> None:
            if poisoned:
                "canary91 \ud800".encode()
            write()

        return guarded

    stage.source.record = record  # type: ignore[method-assign]
    report = stage.pump().run()
    assert (sorted(stage.source.done), report.recorded) == ([1, 3], 2)
    assert "its lease will lapse" in caplog.text
    assert "canary91" not in caplog.text


def test_a_database_that_stays_away_costs_the_record_and_frees_the_room(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage.source.write_faults = [trouble() for _ in range(50)]
    stage.source.due = [1]
    # Half a minute of patience passes between two looks at the clock.
    real = time.monotonic
    start = real()
    monkeypatch.setattr(time, "monotonic", lambda: start + (real() - start) * 300)
    report = stage.pump(slice_seconds=10_000).run()
    assert (report.claimed, report.recorded, stage.source.done) == (1, 0, [])
    assert "their leases will lapse" in caplog.text


@pytest.mark.parametrize("where", ["claim", "record"])
def test_a_bug_in_a_thread_ends_the_pump_with_that_error(stage: Stage, where: str) -> None:
    bug = ValueError("a bug")
    (stage.source.claim_faults if where == "claim" else stage.source.write_faults).append(bug)
    stage.source.due = [1, 2, 3]
    running = stage.start(linger=20, grace=0.1)
    with pytest.raises(ValueError, match="a bug") as caught:
        running.result(10)
    assert caught.value is bug
    assert stage.ended()
    assert stage.bell.said[-1] == "sleep"


def test_a_bug_in_the_runner_ends_the_pump_and_hands_back_what_waited(stage: Stage) -> None:
    stage.runner.fault = ValueError("a bug")
    stage.source.gate = threading.Event()
    stage.source.due = [1, 2]
    pump = stage.pump(linger=20)
    running = stage.pool.submit(pump.run)
    until(lambda: not pump._feeding)
    stage.source.gate.set()
    with pytest.raises(ValueError, match="a bug"):
        running.result(10)
    assert stage.ended()
    assert sorted(stage.source.back) == [1, 2]


def test_it_says_that_it_is_alive(stage: Stage) -> None:
    signs: list[float] = []
    Pump(
        TASK, stage.source, stage.runner, stage.bell, capacity=1, slice_seconds=5, linger=0, grace=0,  # type: ignore[arg-type]
        stopping=stage.stop.is_set, alive=lambda: signs.append(1),
    ).run()  # fmt: skip
    assert signs


def test_heavy_results_are_recorded_in_transactions_of_their_own(stage: Stage) -> None:
    stage.source.due = list(range(40))
    stage.source.weights = {3: 64_000_000, 4: 9_000_000, 5: 9_000_000}
    assert stage.pump().run().recorded == 40
    assert sorted(stage.source.done) == list(range(40))
    together = [{job for job, _ in part} for part in stage.source.prepared]
    assert not [part for part in together if len(part & {3, 4, 5}) > 1]
    assert max(map(len, together)) > 10


def test_a_full_pump_takes_what_is_crowded_out_into_its_reserve_and_no_more(stage: Stage) -> None:
    stage.runner.instant = False
    stage.source.due = list(range(100))
    stage.source.beside = list(range(1000, 1020))
    running = stage.start(capacity=8, reserve=4)
    until(lambda: len(stage.runner.flying) == 12)
    assert sorted(stage.runner.flying) == [*range(8), *range(1000, 1004)]
    # Their places are given to others who wait, while the crowd goes on.
    stage.runner.land(1000, 1001)
    until(lambda: {1004, 1005} <= set(stage.runner.flying))
    assert stage.runner.most == 12
    assert max(stage.source.asked_beside) == 4
    stage.source.beside = []
    stage.runner.instant = True
    stage.runner.land()
    assert running.result(10).recorded == 106


def test_a_pump_with_room_or_without_a_reserve_asks_for_nothing_beside(stage: Stage) -> None:
    stage.source.due = list(range(50))
    stage.pump(capacity=100, reserve=10).run()
    stage.source.due = list(range(50))
    stage.runner.instant = False
    running = stage.start(capacity=8)
    until(lambda: len(stage.runner.flying) == 8)
    stage.runner.instant = True
    stage.runner.land()
    running.result(10)
    assert stage.source.asked_beside == []
