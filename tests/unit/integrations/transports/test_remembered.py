from __future__ import annotations

import threading

import pytest

from hub.integrations.transports.remembered import Remembered


def test_a_thing_is_made_once() -> None:
    kept: Remembered[str] = Remembered(10)
    made = [kept.get("a", lambda: ("first", 1)), kept.get("a", lambda: ("second", 1))]
    assert made == ["first", "first"]


def test_the_least_recently_used_goes_first() -> None:
    kept: Remembered[str] = Remembered(10)
    kept.get("a", lambda: ("a", 4))
    kept.get("b", lambda: ("b", 4))
    kept.get("a", lambda: ("never", 4))
    kept.get("c", lambda: ("c", 4))
    assert [kept.get(key, lambda: ("made again", 1)) for key in "abc"] == ["a", "made again", "c"]


def test_what_is_heavier_than_the_cap_is_given_but_not_kept() -> None:
    kept: Remembered[str] = Remembered(10)
    kept.get("small", lambda: ("small", 10))
    assert kept.get("big", lambda: ("big", 11)) == "big"
    assert len(kept) == 1


def test_a_fault_is_not_kept() -> None:
    kept: Remembered[str] = Remembered(10)

    def fail() -> tuple[str, int]:
        raise ValueError

    with pytest.raises(ValueError):
        kept.get("a", fail)
    assert kept.get("a", lambda: ("made", 1)) == "made"


def test_callers_of_one_thing_wait_for_it_and_others_do_not() -> None:
    kept: Remembered[str] = Remembered(10)
    making, finish, found = threading.Event(), threading.Event(), []

    def slow() -> tuple[str, int]:
        making.set()
        assert finish.wait(10)
        return "slow", 1

    threads = [threading.Thread(target=lambda: found.append(kept.get("a", slow))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert making.wait(10)
    assert kept.get("b", lambda: ("quick", 1)) == "quick"
    with pytest.raises(TimeoutError):
        kept.get("a", lambda: ("never", 1), wait=0.01)
    finish.set()
    for thread in threads:
        thread.join(10)
    assert found == ["slow"] * 4
