from __future__ import annotations

import threading
from types import SimpleNamespace

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


def test_one_caller_is_told_that_a_thing_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("hub.integrations.transports.remembered.time", clock)
    kept: Remembered[str] = Remembered(10)
    assert not kept.take_turn("a", 300)
    kept.get("a", lambda: ("first", 1))
    now[0] = 299
    assert not kept.take_turn("a", 300)
    now[0] = 300
    assert [kept.take_turn("a", 300), kept.take_turn("a", 300)] == [True, False]
    now[0] = 500
    kept.renew("a", ("second", 1))
    now[0] = 700
    assert not kept.take_turn("a", 300)
    assert kept.get("a", lambda: ("never", 1)) == "second"


def test_a_renewed_thing_weighs_what_it_weighs_now() -> None:
    kept: Remembered[str] = Remembered(10)
    kept.get("a", lambda: ("a", 6))
    kept.renew("a", ("a", 4))
    kept.get("b", lambda: ("b", 6))
    assert len(kept) == 2
    kept.renew("b", ("b", 11))
    kept.renew("c", ("c", 1))
    assert len(kept) == 1


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
