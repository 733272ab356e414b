from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from hub.queue.contracts import DOORBELL_IDS, TaskName
from hub.queue.ringer import Ringer
from tests.support.waiting import until

SEND, RUN, CHECK = TaskName.DELIVERIES_SEND, TaskName.EXECUTIONS_RUN, TaskName.CHECKS_RUN


class SlowBell:
    """Rings only as far as the test lets it."""

    def __init__(self) -> None:
        self.rings: list[tuple[TaskName, list[str]]] = []
        self.started = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)

    def ring(self, task: TaskName, ids: Sequence[str] = ()) -> bool:
        self.started.release()
        assert self.allowed.acquire(timeout=10)
        self.rings.append((task, list(ids)))
        return True


@pytest.fixture
def bell() -> SlowBell:
    return SlowBell()


@pytest.fixture
def ringer(bell: SlowBell) -> Iterator[Ringer]:
    made = Ringer(bell)  # type: ignore[arg-type]
    yield made
    for _ in range(100):
        bell.allowed.release()
    made.stop()


def test_asking_returns_at_once_and_the_thread_rings(ringer: Ringer, bell: SlowBell) -> None:
    ringer.ring(SEND, ["msg_1"])
    assert bell.rings == []
    bell.allowed.release()
    until(lambda: bell.rings == [(SEND, ["msg_1"])])


def test_what_is_asked_while_a_ring_is_under_way_becomes_one_ring(ringer: Ringer, bell: SlowBell) -> None:
    ringer.ring(SEND, ["first"])
    assert bell.started.acquire(timeout=10)
    for n in range(200):
        ringer.ring(SEND, [f"msg_{n}"])
    bell.allowed.release(2)
    until(lambda: len(bell.rings) == 2)
    assert bell.rings == [(SEND, ["first"]), (SEND, [f"msg_{n}" for n in range(DOORBELL_IDS)])]


def test_a_busy_task_does_not_keep_another_waiting(ringer: Ringer, bell: SlowBell) -> None:
    ringer.ring(SEND)
    assert bell.started.acquire(timeout=10)
    ringer.ring(RUN)
    ringer.ring(SEND)
    for _ in range(2):  # while each ring is under way, the busy task asks again
        bell.allowed.release()
        assert bell.started.acquire(timeout=10)
        ringer.ring(SEND)
    bell.allowed.release()
    until(lambda: RUN in [task for task, _ in bell.rings])
    assert [task for task, _ in bell.rings].index(RUN) == 1


def test_stopping_rings_what_is_pending(bell: SlowBell) -> None:
    ringer = Ringer(bell)  # type: ignore[arg-type]
    for task in (SEND, RUN, CHECK):
        ringer.ring(task, ["x"])
        bell.allowed.release()
    ringer.stop()
    assert {task for task, _ in bell.rings} == {SEND, RUN, CHECK}
    assert not [thread for thread in threading.enumerate() if thread is ringer._thread]
