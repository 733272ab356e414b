from __future__ import annotations

import threading
import time

from hub.queue.alarm import MAX_SECONDS, Alarm
from tests.support.waiting import until


def test_it_rings_at_each_moment_and_not_before() -> None:
    rings: list[float] = []
    alarm = Alarm(lambda: rings.append(time.monotonic()))
    begun = time.monotonic()
    alarm.set(0.2)
    alarm.set(0.05)
    until(lambda: len(rings) == 2)
    assert rings[0] - begun >= 0.05
    assert rings[1] - begun >= 0.2


def test_many_rows_that_fall_due_together_are_one_ring() -> None:
    rings: list[float] = []
    alarm = Alarm(lambda: rings.append(0))
    for _ in range(1000):
        alarm.set(0.05)
    until(lambda: bool(rings))
    assert len(rings) < 50


def test_long_waits_are_left_to_the_sweep() -> None:
    before = threading.active_count()
    Alarm(lambda: None).set(MAX_SECONDS + 1)
    assert threading.active_count() == before
