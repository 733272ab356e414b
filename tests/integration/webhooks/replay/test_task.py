"""The task, called in this process, and the sweep that rings for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import workers.tasks
from hub.queue.app import get_app
from hub.queue.contracts import TaskName
from tests.integration.webhooks.replay.past import NOWHERE, Past
from tests.integration.webhooks.world import SilentBell, World
from workers import context
from workers.tasks import run_replays

pytestmark = pytest.mark.usefixtures("hub_environment")

TICK = {"name": "x", "scheduled_for": "2030-01-01T00:00:00+00:00"}


@dataclass
class Bell(SilentBell):
    """Remembers rings; `late` says that one came while nobody listened any more."""

    rings: list[TaskName] = field(default_factory=list)
    late: bool = False

    def ring(self, task: TaskName, ids: Any = ()) -> bool:
        self.rings.append(task)
        return True

    def answered_after_sleep(self, task: TaskName) -> bool:
        return self.late


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bell]:
    made = Bell()
    monkeypatch.setattr(context, "get_bell", lambda: made)
    run_replays._runner.cache_clear()
    yield made
    run_replays._runner.cache_clear()


def call(task: TaskName, payload: Any = None) -> Any:
    workers.tasks.load()
    return get_app().tasks[task.value](payload=payload or {})


def test_a_doorbell_works_off_what_is_due_and_rings_for_the_deliveries(
    world: World, past: Past, bell: Bell
) -> None:
    world.endpoint(NOWHERE)
    past.events(3)
    job = past.replay()
    report = call(TaskName.REPLAYS_RUN)
    assert report["requeued"] == 3
    assert set(bell.rings) == {TaskName.DELIVERIES_SEND}
    assert past.job(job).worker == context.owner()
    bell.rings.clear()
    assert call(TaskName.REPLAYS_RUN) == {"steps": 0, "requeued": 0, "unfinished": False}
    assert bell.rings == []


def test_one_run_a_process_is_enough(world: World, past: Past, bell: Bell) -> None:
    past.replay()
    with run_replays._running:
        assert call(TaskName.REPLAYS_RUN) == {"absorbed": True}
    assert call(TaskName.REPLAYS_RUN)["steps"] == 1


def test_who_rings_while_it_goes_to_sleep_is_heard(bell: Bell) -> None:
    bell.late = True
    call(TaskName.REPLAYS_RUN)
    assert bell.rings == [TaskName.REPLAYS_RUN]


def test_the_sweep_rings_for_a_job_that_is_due_and_for_no_other(world: World, past: Past, bell: Bell) -> None:
    job = past.replay()
    call(TaskName.LEDGER_SWEEP, TICK)
    assert bell.rings == [TaskName.REPLAYS_RUN]
    bell.rings.clear()
    world.sql("UPDATE hub.replay SET due_at = now() + interval '1 min'")
    call(TaskName.LEDGER_SWEEP, TICK)
    past.steer(job, "paused")
    call(TaskName.LEDGER_SWEEP, TICK)
    assert bell.rings == []
