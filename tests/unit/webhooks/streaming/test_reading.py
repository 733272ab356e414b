from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from hub.core.ids import floor_uuid, new_uuid
from hub.webhooks.streaming.reading import WINDOW_SECONDS, Reading

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
FIRST, LAST = UUID(int=0), UUID(int=(1 << 128) - 1)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def made(seconds: float) -> UUID:
    """An id that was made then."""
    return new_uuid(round(at(seconds).timestamp() * 1000))


def look(
    reading: Reading, position: UUID, visible: list[UUID], seconds: float, limit: int = 1000
) -> list[UUID]:
    """Read one page of what is visible."""
    page = sorted(one for one in visible if one > position)[:limit]
    return reading.take(position, page, full=len(page) == limit, now=at(seconds))


def test_what_is_read_twice_is_shown_once() -> None:
    reading = Reading.resumed(floor_uuid(NOW), NOW)
    one = made(0.5)
    assert look(reading, reading.settled, [one], 1) == [one]
    assert look(reading, reading.settled, [one], 2) == []
    assert look(reading, reading.newest, [one], 2) == []


def test_a_lower_id_that_becomes_visible_later_is_shown_when_it_does() -> None:
    reading = Reading.resumed(floor_uuid(NOW), NOW)
    early, late = made(1), made(2)
    assert look(reading, reading.settled, [late], 3) == [late]
    assert look(reading, reading.newest, [early, late], 4) == []
    assert look(reading, reading.settled, [early, late], 5) == [early]


def test_what_was_there_before_a_stream_is_not_shown_but_what_is_committed_after_is() -> None:
    before, pending, after = made(-2), made(-1), made(1)
    reading = Reading.from_now(NOW)
    look(reading, reading.settled, [before], 0)
    assert look(reading, reading.settled, [before, pending, after], 2) == [pending, after]


def test_what_is_older_than_the_window_is_read_no_more() -> None:
    reading = Reading.resumed(floor_uuid(NOW), NOW)
    one = made(1)
    look(reading, reading.settled, [one], 2)
    assert reading.settled < one
    look(reading, reading.settled, [one], 2 + WINDOW_SECONDS)
    assert one < reading.settled <= reading.newest


def test_while_it_catches_up_a_stream_looks_at_old_events_once() -> None:
    old = [made(-3600 + n) for n in range(10)]
    reading = Reading.resumed(floor_uuid(at(-3600)), NOW)
    assert look(reading, reading.settled, old, 0, limit=5) == old[:5]
    assert reading.settled == old[4]
    assert look(reading, old[4], old, 0, limit=5) == old[5:]
    assert reading.settled == old[9]


def test_a_clock_that_is_ahead_hides_nothing() -> None:
    reading = Reading.resumed(floor_uuid(NOW), NOW)
    ahead, right = made(30), made(2)
    look(reading, reading.settled, [ahead], 1)
    assert reading.newest == ahead
    assert look(reading, reading.settled, [right, ahead], 3) == [right]


def test_a_place_in_the_future_or_beyond_all_time_is_now() -> None:
    one = made(1)
    for place in (LAST, made(3600)):
        reading = Reading.resumed(place, NOW)
        assert look(reading, reading.settled, [one], 2) == [one]
    assert Reading.resumed(FIRST, NOW).settled == FIRST


def test_a_stream_that_showed_nothing_is_resumed_where_it_began() -> None:
    before, after = made(-5), made(1)
    first = Reading.from_now(NOW)
    look(first, first.settled, [before], 0)
    second = Reading.resumed(first.resume_from, at(3))
    assert look(second, second.settled, [before, after], 3) == [after]


def test_the_place_to_resume_from_moves_on_without_events() -> None:
    reading = Reading.from_now(NOW)
    look(reading, reading.settled, [], 0)
    look(reading, reading.settled, [], 3600)
    assert reading.resume_from == floor_uuid(at(3600))


commits = st.lists(
    st.tuples(st.integers(0, 20_000), st.integers(0, WINDOW_SECONDS * 1000 - 1)), min_size=1, max_size=40
)


@given(
    commits,
    st.lists(st.tuples(st.integers(1, 2_000), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 7),
)
def test_whatever_the_order_of_commits_every_event_is_shown_once(
    events: list[tuple[int, int]], polls: list[tuple[int, bool]], limit: int
) -> None:
    """Events are made at some moment and committed within a window of it; polls look forward or back."""
    base = round(NOW.timestamp() * 1000)
    rows = [(new_uuid(base + born), born + delay) for born, delay in events]
    reading = Reading.resumed(floor_uuid(NOW), NOW)
    shown: list[UUID] = []
    clock = 0
    for step, back in [*polls, (60_000, True)]:
        clock += step
        visible = [one for one, committed in rows if committed <= clock]
        position = reading.settled if back else reading.newest
        while True:
            page = sorted(one for one in visible if one > position)[:limit]
            full = len(page) == limit
            shown += reading.take(position, page, full=full, now=NOW + timedelta(milliseconds=clock))
            if not full:
                break
            position = page[-1]
    assert sorted(shown) == sorted(one for one, _ in rows)


@given(commits, st.lists(st.integers(1, 3_000), min_size=1, max_size=30), st.data())
def test_a_stream_that_is_resumed_misses_nothing(
    events: list[tuple[int, int]], polls: list[int], data: st.DataObject
) -> None:
    base = round(NOW.timestamp() * 1000)
    rows = [(new_uuid(base + born), born + delay) for born, delay in events]
    reading = Reading.resumed(floor_uuid(NOW), NOW)
    shown: set[UUID] = set()
    place = floor_uuid(NOW)
    clock = 0
    for step in [*polls, 60_000]:
        clock += step
        now = NOW + timedelta(milliseconds=clock)
        if data.draw(st.booleans()):
            reading = Reading.resumed(place, now)
        page = sorted(one for one, committed in rows if committed <= clock and one > reading.settled)
        fresh = reading.take(reading.settled, page, full=False, now=now)
        shown.update(fresh)
        place = max([place, reading.resume_from, *fresh])
    assert shown == {one for one, _ in rows}
