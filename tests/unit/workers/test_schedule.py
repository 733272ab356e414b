from __future__ import annotations

from hub.core.settings import load_settings
from hub.queue.contracts import ROUTES, Queue
from workers.schedule import jobs


def test_every_job_is_a_task_of_the_system_queue_and_is_named_once() -> None:
    made = jobs(load_settings({}))
    assert {ROUTES[job.task] for job in made} == {Queue.SYSTEM}
    assert len({job.task for job in made}) == len(made)


def test_rows_are_found_within_two_seconds_without_any_doorbell() -> None:
    assert min(job.every for job in jobs(load_settings({}))) <= 1.0
    assert jobs(load_settings({"HUB_SWEEP_INTERVAL_SECONDS": "0.5"}))[0].every == 0.5
