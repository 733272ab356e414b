from __future__ import annotations

import re
from uuid import UUID

import pytest

from hub.integrations.executions.tracing import continue_trace, event_trace, take_trace, trace_id_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


GIVEN = pytest.mark.parametrize(
    ("given", "goes_on"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", True),
        (f"00-{TRACE}-{SPAN}-01-more", False),
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", True),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}", False),
        (f" 00-{TRACE}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}-01\n", False),
        ("", False),
        (None, False),
    ],
    ids=repr,
)


@GIVEN
def test_a_trace_goes_on_under_a_new_parent_or_a_new_one_begins(given: str | None, goes_on: bool) -> None:
    made = continue_trace(given)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", made)
    assert (TRACE in made) is goes_on
    assert SPAN not in made
    if goes_on:
        assert given is not None
        assert made[-2:] == given[53:55]


@GIVEN
def test_an_event_takes_the_trace_that_it_came_with_or_none(given: str | None, goes_on: bool) -> None:
    made = take_trace(given)
    assert (made is not None) is goes_on
    if made is not None:
        assert given is not None
        assert (trace_id_of(made), SPAN in made, made[-2:]) == (TRACE, False, given[53:55])


def test_of_a_stranger_no_more_than_the_id_is_taken() -> None:
    made = take_trace(f"00-{TRACE}-{SPAN}-00", trusted=False)
    assert made is not None
    assert (trace_id_of(made), made[-3:]) == (TRACE, "-01")


@pytest.mark.parametrize(
    "event", [UUID("01993f0c-9c7a-7b3a-8d0e-6f0a1b2c3d4e"), UUID("01993f0c-9c7a-7000-8000-000000000000")]
)
def test_an_event_without_a_trace_has_that_of_its_id(event: UUID) -> None:
    made = event_trace(event, None)
    assert made == event_trace(event, None)
    assert trace_id_of(made) == event.hex
    # It can be read as any other.
    assert trace_id_of(continue_trace(made)) == event.hex
    stored = f"00-{TRACE}-{SPAN}-00"
    assert event_trace(event, stored) == stored
