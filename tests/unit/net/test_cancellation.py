from __future__ import annotations

import threading

import pytest

from hub.net.cancellation import Cancellation, Cancelled


def test_cancelling_closes_everything_once_and_a_broken_closer_stops_no_other() -> None:
    closed: list[str] = []

    def broken() -> None:
        closed.append("broken")
        raise RuntimeError("closed already")

    cancellation = Cancellation()
    cancellation.add(broken)
    cancellation.add(lambda: closed.append("second"))
    assert not cancellation.cancelled
    cancellation.cancel()
    cancellation.cancel()
    assert cancellation.cancelled
    assert closed == ["broken", "second"]


def test_what_ended_before_is_not_closed() -> None:
    closed: list[int] = []
    cancellation = Cancellation()
    with cancellation.closing(lambda: closed.append(1)):
        pass

    def close() -> None:
        closed.append(2)

    cancellation.add(close)
    cancellation.remove(close)
    cancellation.remove(close)
    cancellation.cancel()
    assert closed == []


def test_nothing_begins_after_it_was_cancelled() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    closed: list[int] = []
    with pytest.raises(Cancelled):
        cancellation.add(lambda: closed.append(1))
    with pytest.raises(Cancelled), cancellation.closing(lambda: closed.append(1)):
        pytest.fail("it began")
    assert closed == []


def test_a_closer_may_wait_for_the_thread_that_it_wakes() -> None:
    cancellation = Cancellation()
    woken, ended = threading.Event(), threading.Event()

    def close() -> None:
        woken.set()
        assert ended.wait(5)

    def call() -> None:
        with cancellation.closing(close):
            begun.set()
            woken.wait(5)
        ended.set()

    begun = threading.Event()
    thread = threading.Thread(target=call)
    thread.start()
    assert begun.wait(5)
    cancellation.cancel()
    assert ended.is_set()
    thread.join(5)
