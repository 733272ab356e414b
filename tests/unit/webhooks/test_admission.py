from __future__ import annotations

import threading
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.webhooks.admission import Admission, Ended

A, B, C = (UUID(int=n) for n in (1, 2, 3))
MANY = [UUID(int=n) for n in range(10, 110)]
PLENTY = 10**9


class Clock:
    """Monotonic seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fill(admission: Admission, *endpoints: UUID) -> Counter[UUID]:
    """First attempts to these endpoints, in turns, until none is admitted; how many each got."""
    got: Counter[UUID] = Counter()
    willing = set(endpoints)
    while willing:
        for endpoint in endpoints:
            if endpoint in willing and admission.admit(endpoint, 10):
                got[endpoint] += 1
            else:
                willing.discard(endpoint)
    return got


def end(
    admission: Admission, endpoint: UUID, count: int, seconds: float | None, *, lane: bool = False
) -> None:
    admission.release(Ended(endpoint, 10, lane, seconds) for _ in range(count))


def prove(admission: Admission, endpoint: UUID) -> None:
    """Its calls are quick; one goes on, for those that rest are forgotten."""
    for _ in range(30):
        assert admission.admit(endpoint, 10)
    end(admission, endpoint, 29, 0.01)


def test_a_lone_fast_endpoint_may_fill_the_whole_process() -> None:
    admission = Admission(1000, max_bytes=PLENTY, clock=Clock())
    prove(admission, A)
    assert fill(admission, A) == {A: 999}
    assert admission.room_for_lanes == 0


def test_endpoints_that_nobody_knows_yet_leave_room_for_others() -> None:
    """All of its events come at once, before the first call could end."""
    admission = Admission(1000, max_bytes=PLENTY, clock=Clock())
    assert fill(admission, A) == {A: 500}
    assert fill(admission, B) == {B: 250}
    assert admission.admit(C, 10)


def test_an_endpoint_that_hangs_leaves_most_of_the_process_to_others() -> None:
    """Its calls never end; events for it keep coming for fifteen seconds."""
    clock = Clock()
    admission = Admission(1000, max_bytes=PLENTY, clock=clock)
    hanging = 0
    for _ in range(150):
        hanging += sum(admission.admit(A, 10) for _ in range(20))
        # Those of another endpoint are over in a moment.
        quick = sum(admission.admit(B, 10) for _ in range(20))
        assert quick == 20, f"after {clock.now - 100:.1f} s with {hanging} calls that hang"
        end(admission, B, quick, 0.01)
        clock.now += 0.1
    assert hanging < 900
    assert admission.full() == [A]
    assert sum(admission.admit(C, 10) for _ in range(100)) >= 90


def test_an_endpoint_that_is_known_to_hang_gets_little_from_the_start() -> None:
    clock = Clock()
    admission = Admission(1000, max_bytes=PLENTY, clock=clock)
    for _ in range(30):
        assert admission.admit(A, 10)
        clock.now += 15
        end(admission, A, 1, 15.0)
    clock.now += 3600
    assert fill(admission, A)[A] < 200
    assert fill(admission, B)[B] > 400


def test_a_hundred_endpoints_that_hang_shrink_each_others_shares() -> None:
    clock = Clock()
    admission = Admission(1000, max_bytes=PLENTY, clock=clock)
    for endpoint in MANY:
        for _ in range(30):
            assert admission.admit(endpoint, 10)
            clock.now += 0.1
            end(admission, endpoint, 1, 15.0)
    got = fill(admission, *MANY)
    assert max(got.values()) <= 2 * min(got.values()) + 1, "nobody gets much more than another"
    assert sum(got.values()) < 1000
    assert sum(admission.admit(A, 10) for _ in range(20)) == 20, "there is room for the healthy"


def test_thousands_of_endpoints_that_hang_leave_a_few_places_to_the_healthy() -> None:
    clock = Clock()
    admission = Admission(1000, max_bytes=PLENTY, clock=clock)
    hanging = [UUID(int=n) for n in range(1000, 3000)]
    for endpoint in hanging:
        assert admission.admit(endpoint, 10)
        end(admission, endpoint, 1, 150.0)
    assert sum(fill(admission, *hanging).values()) < 1000
    assert admission.admit(A, 10)


def test_an_endpoint_that_recovers_gets_its_share_back() -> None:
    clock = Clock()
    admission = Admission(1000, max_bytes=PLENTY, clock=clock)
    for _ in range(30):
        admission.admit(A, 10)
        end(admission, A, 1, 15.0)
    little = fill(admission, A)[A]
    end(admission, A, little, 0.01)
    for _ in range(60):
        admission.admit(A, 10)
        end(admission, A, 1, 0.01)
    assert admission.admit(A, 10)
    prove(admission, A)
    assert fill(admission, A)[A] > 900
    assert little < 300


def test_every_endpoint_has_at_least_one_call_while_there_is_room() -> None:
    clock = Clock()
    admission = Admission(10, max_bytes=PLENTY, clock=clock)
    for endpoint in MANY[:9]:
        assert admission.admit(endpoint, 10)
    clock.now += 1000
    assert admission.admit(MANY[9], 10)
    assert not admission.admit(MANY[10], 10), "there is no room"


def test_what_comes_out_of_lanes_takes_half_of_the_places_at_most() -> None:
    admission = Admission(100, max_bytes=PLENTY, clock=Clock())
    assert admission.room_for_lanes == 50
    prove(admission, B)
    for _ in range(50):
        admission.take(A, 10)
    assert admission.room_for_lanes == 0
    assert fill(admission, B) == {B: 49}
    end(admission, A, 1, 0.1, lane=True)
    assert admission.room_for_lanes == 1
    assert admission.admit(B, 10)
    assert admission.room_for_lanes == 0, "first attempts took the last place"


def test_a_process_for_one_call_serves_its_lanes_too() -> None:
    admission = Admission(1, max_bytes=PLENTY, clock=Clock())
    assert admission.room_for_lanes == 1
    admission.take(A, 10)
    assert admission.room_for_lanes == 0
    assert not admission.admit(B, 10)


def test_bodies_under_way_stay_under_their_limit() -> None:
    admission = Admission(1000, max_bytes=100, clock=Clock())
    assert admission.admit(A, 60)
    assert not admission.admit(B, 60)
    assert admission.admit(B, 40)
    assert admission.room_for_lanes == 0
    admission.release([Ended(A, 60, False, 0.1)])
    assert admission.room_for_lanes > 0


def test_a_body_that_is_larger_than_the_limit_goes_through_its_lane() -> None:
    """Refused at fan-out; when nothing else is under way, the lane's claim takes it."""
    admission = Admission(1000, max_bytes=100, clock=Clock())
    assert not admission.admit(A, 500)
    assert admission.room_for_lanes > 0
    admission.take(A, 500)
    assert admission.room_for_lanes == 0


def test_a_call_that_was_never_made_teaches_nothing() -> None:
    admission = Admission(10, max_bytes=PLENTY, clock=Clock())
    admission.admit(A, 10)
    end(admission, A, 1, None)
    assert admission.full() == []
    assert fill(admission, A) == {A: 5}


def test_who_waits_for_places_goes_on_when_one_is_given_back() -> None:
    admission = Admission(1, max_bytes=PLENTY)
    admission.admit(A, 10)
    waiting = threading.Thread(target=admission.wait, args=(20.0,))
    waiting.start()
    while waiting.is_alive():
        admission.release([Ended(A, 10, False, 0.01)])
        assert admission.admit(A, 10)
        waiting.join(0.01)


@pytest.mark.parametrize("capacity", [1, 2, 7, 50])
@given(steps=st.lists(st.tuples(st.sampled_from("alre"), st.integers(0, 3), st.floats(0, 20)), max_size=60))
def test_the_places_add_up_whatever_happens(capacity: int, steps: list[tuple[str, int, float]]) -> None:
    clock = Clock()
    admission = Admission(capacity, max_bytes=1000, clock=clock)
    under_way: list[tuple[UUID, bool]] = []
    for what, number, seconds in steps:
        endpoint = MANY[number]
        clock.now += seconds / 10
        if what == "a" and admission.admit(endpoint, 10):
            under_way.append((endpoint, False))
        elif what == "l" and admission.room_for_lanes > 0 and endpoint not in admission.full():
            admission.take(endpoint, 10)
            under_way.append((endpoint, True))
        elif what in "re" and under_way:
            endpoint, lane = under_way.pop(number % len(under_way))
            end(admission, endpoint, 1, seconds if what == "r" else None, lane=lane)
        assert len(under_way) <= capacity
        assert sum(lane for _, lane in under_way) <= max(1, capacity // 2)
    for endpoint, lane in under_way:
        end(admission, endpoint, 1, 0.0, lane=lane)
    assert admission.room_for_lanes == max(1, capacity // 2)
    assert admission.full() == []
