"""The calls under way: which of them are cut off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hub.core.ids import new_uuid
from hub.integrations.executions.job import CallsUnderWay, Job
from hub.net.cancellation import Cancellation


def job(row_id: Any, fence: int) -> Job:
    made = Job(row_id, new_uuid(), fence, 1, 0, new_uuid(), "get_user", {}, 0, None)
    made.call = SimpleNamespace(cancellation=Cancellation())  # type: ignore[assignment]  # all of it that is used
    return made


def is_cut(one: Job) -> bool:
    assert one.call is not None
    return one.call.cancellation.cancelled


def test_what_was_claimed_again_is_another_call_and_goes_on() -> None:
    under_way = CallsUnderWay()
    first, again = job(new_uuid(), 1), job(new_uuid(), 1)
    other = job(first.id, 2)
    under_way.add(first)
    under_way.add(again)
    seen = under_way.claims()
    # Its call ends while the watch asks the database, and its row is claimed anew.
    under_way.remove(first)
    under_way.add(other)
    assert under_way.cut_off(seen) == 1
    assert (is_cut(other), is_cut(again)) == (False, True)
    assert under_way.cut_off({other.id: 2}) == 1
    assert is_cut(other)


def test_the_end_of_an_older_call_leaves_the_newer_one_in_sight() -> None:
    under_way = CallsUnderWay()
    first = job(new_uuid(), 1)
    newer = job(first.id, 2)
    under_way.add(first)
    under_way.add(newer)
    under_way.remove(first)
    assert under_way.claims() == {first.id: 2}
    under_way.remove(newer)
    assert under_way.claims() == {}
