"""Slots on a real Valkey: never too many at once, none lost for good, and callers sent at the pace of the slots."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis

from hub.limits.concurrency import MAX_HINT, Full, Held, Slots
from hub.limits.reach import OnOutage, Reach, connect
from hub.limits.turn import Turn
from tests.integration.limits.conftest import OwnValkey, VirtualReach


@pytest.fixture
def slots(virtual: VirtualReach) -> Slots:
    """Everything happens in the test's time."""
    return Slots(virtual, on_outage=OnOutage.REFUSE, rng=random.Random(1), monotonic=lambda: virtual.now)


@pytest.fixture
def workers(redis_url: str) -> Iterator[list[Slots]]:
    with ExitStack() as stack:
        yield [
            Slots(Reach(stack.enter_context(connect(redis_url))), on_outage=OnOutage.REFUSE) for _ in range(4)
        ]


def acquire(
    slots: Slots, holder: str, *, cap: int = 2, lease: float = 60, turn: Turn = Turn.REJECT
) -> Held | Full:
    return slots.acquire("k", holder, cap=cap, lease=lease, turn=turn)


def held(slots: Slots, holder: str, *, cap: int = 2, lease: float = 60) -> Held:
    answer = acquire(slots, holder, cap=cap, lease=lease)
    assert isinstance(answer, Held)
    return answer


def test_forty_threads_of_four_workers_are_never_more_than_the_cap(workers: list[Slots]) -> None:
    lock = threading.Lock()
    now = most = done = 0

    def call(number: int) -> None:
        nonlocal now, most, done
        slots = workers[number % 4]
        while isinstance(slot := acquire(slots, str(number), cap=3), Full):
            time.sleep(random.uniform(0, 0.02))
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
            done += 1
        slot.release()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (3, 40)


def test_the_slots_of_a_vanished_worker_end_with_their_lease(slots: Slots, virtual: VirtualReach) -> None:
    held(slots, "dead", lease=30)
    held(slots, "alive", lease=300)
    virtual.now += 29.9
    assert isinstance(acquire(slots, "next"), Full)
    virtual.now += 0.1
    held(slots, "next")
    assert isinstance(acquire(slots, "another"), Full)


def test_a_holder_that_asks_again_keeps_its_one_slot(slots: Slots) -> None:
    held(slots, "a", cap=1)
    slot = held(slots, "a", cap=1)
    slot.release()
    slot.release()
    held(slots, "b", cap=1)


def test_a_lower_cap_waits_for_the_holders_there_are(slots: Slots) -> None:
    many = [held(slots, str(n), cap=5) for n in range(5)]
    for slot in many[:3]:
        slot.release()
        assert isinstance(acquire(slots, "new", cap=2), Full)
    many[3].release()
    held(slots, "new", cap=2)


def test_keys_do_not_share_slots(slots: Slots) -> None:
    held(slots, "a", cap=1)
    assert isinstance(slots.acquire("other", "a", cap=1, lease=60), Held)


def test_those_who_wait_are_sent_at_the_pace_at_which_slots_become_free(
    slots: Slots, virtual: VirtualReach
) -> None:
    for number in range(40):  # what a slot's hold lasts is learned
        slot = held(slots, str(number), cap=4)
        virtual.now += 8
        slot.release()
    for number in range(4):
        held(slots, str(number), cap=4)
    told = [acquire(slots, f"w{n}", cap=4, turn=Turn.QUEUE) for n in range(20)]
    assert all(isinstance(answer, Full) for answer in told)
    waits = [answer.retry_after for answer in told if isinstance(answer, Full)]
    steps = [later - sooner for sooner, later in itertools.pairwise(waits)]
    # Four slots of 8 s: one every 2 s; told a little sooner.
    assert steps == pytest.approx([1.4] * 19, rel=0.05)
    called = acquire(slots, "called", cap=4, turn=Turn.CALLED)
    assert isinstance(called, Full)
    assert called.retry_after < 2


def test_who_does_not_wait_takes_no_place(slots: Slots) -> None:
    held(slots, "a", cap=1)
    told = {acquire(slots, f"r{n}", cap=1) for n in range(10)}
    assert len(told) == 1


def test_nobody_is_sent_away_for_long_and_nobody_at_the_same_moment(slots: Slots) -> None:
    held(slots, "a", cap=1, lease=600)
    told = [acquire(slots, f"w{n}", cap=1, turn=Turn.QUEUE) for n in range(2000)]
    waits = [answer.retry_after for answer in told if isinstance(answer, Full)]
    assert max(waits) <= MAX_HINT
    assert len({round(wait, 4) for wait in waits}) > 1900


def test_a_queue_that_never_came_is_forgotten(slots: Slots, virtual: VirtualReach) -> None:
    slot = held(slots, "a", cap=1)
    for n in range(150):
        acquire(slots, f"w{n}", cap=1, turn=Turn.QUEUE)
    slot.release()
    virtual.now += 10
    held(slots, "b", cap=1)
    answer = acquire(slots, "c", cap=1, turn=Turn.QUEUE)
    assert isinstance(answer, Full)
    assert answer.retry_after < 2


@pytest.mark.parametrize(("cap", "lasts", "busy"), [(1, 1.0, 0.8), (10, 1.0, 0.85), (50, 5.0, 0.85)])
def test_a_thousand_waiting_callers_keep_the_slots_busy(
    slots: Slots, virtual: VirtualReach, cap: int, lasts: float, busy: float
) -> None:
    """Calls of differing length; each caller comes back somewhat later than told; in virtual time."""
    rng = random.Random(3)
    start = virtual.now
    coming: list[tuple[float, int, Turn | Held]] = [(start, n, Turn.QUEUE) for n in range(1000)]
    in_use = most = 0
    worked = 0.0
    while coming:
        virtual.now, caller, what = heapq.heappop(coming)
        if isinstance(what, Held):
            what.release()
            in_use -= 1
            continue
        answer = slots.acquire("k", str(caller), cap=cap, lease=600, turn=what)
        if isinstance(answer, Full):
            back = virtual.now + answer.retry_after + rng.uniform(0, 0.2)
            heapq.heappush(coming, (back, caller, Turn.CALLED))
            continue
        in_use += 1
        most = max(most, in_use)
        length = rng.uniform(0.5, 1.5) * lasts
        worked += length
        heapq.heappush(coming, (virtual.now + length, caller, answer))
    assert most == cap
    assert worked / cap / (virtual.now - start) >= busy


def test_every_key_expires(client: redis.Redis, workers: list[Slots]) -> None:
    slot = held(workers[0], "a", cap=1)
    acquire(workers[0], "b", cap=1, turn=Turn.QUEUE)
    assert len(client.keys("hub:limits:*")) == client.dbsize() == 2
    assert all(0 < client.pttl(key) <= 720_000 for key in client.scan_iter())
    slot.release()
    assert all(0 < client.pttl(key) <= 720_000 for key in client.scan_iter())


def test_without_redis_slots_are_given_or_refused_as_set(own_valkey: OwnValkey) -> None:
    with connect(own_valkey.url) as client:
        reach = Reach(client)
        admits, refuses = (Slots(reach, on_outage=answer) for answer in (OnOutage.ADMIT, OnOutage.REFUSE))
        slot = held(refuses, "a")
        own_valkey.stop()
        answer = refuses.acquire("k", "b", cap=1, lease=5)
        assert isinstance(answer, Full)
        assert answer.outage
        assert 1 <= answer.retry_after <= 3
        free = admits.acquire("k", "b", cap=1, lease=5)
        assert isinstance(free, Held)
        assert not free.counted
        free.release()
        slot.release()


def test_flushed_scripts_are_loaded_again(client: redis.Redis, workers: list[Slots]) -> None:
    client.script_flush()
    slot = held(workers[0], "a", cap=1)
    client.script_flush()
    slot.release()
    held(workers[1], "b", cap=1)
