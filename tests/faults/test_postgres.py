"""Postgres goes away under load and comes back. What was answered 202 is on its disk."""

from __future__ import annotations

import pytest

from tests.faults.load import Load, assert_nothing_lost
from tests.support.receivers import FastReceiver
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.faults


def assert_refused_clearly(hub: RunningHub, load: Load) -> None:
    """No connection was cut, no process gave up, and whoever was refused knows at once that it was the database."""
    assert set(load.statuses()) <= {202, 503}
    refused = [answer for answer in load.answers if answer.status == 503]
    assert all("database" in answer.detail for answer in refused), refused[:3]
    assert all(process.alive for process in hub.processes.values())


def test_a_restart_loses_nothing_that_was_accepted(
    hub: RunningHub, receiver: FastReceiver, word: str
) -> None:
    with Load(hub, word) as load:
        load.wait_for(300)
        hub.restart("postgres")
        load.wait_for(300)
    assert_nothing_lost(hub, load, receiver, word, in_flight=hub.settings.deliver_in_flight)
    assert_refused_clearly(hub, load)


def test_a_crash_loses_nothing_that_was_accepted(hub: RunningHub, receiver: FastReceiver, word: str) -> None:
    with Load(hub, word) as load:
        load.wait_for(300)
        hub.kill("postgres")
        hub.start("postgres")
        load.wait_for(300)
    assert_nothing_lost(hub, load, receiver, word, in_flight=hub.settings.deliver_in_flight)
    assert_refused_clearly(hub, load)


def test_while_it_is_away_publishing_is_refused_within_two_seconds(
    hub: RunningHub, receiver: FastReceiver, word: str
) -> None:
    with Load(hub, word) as load:
        load.wait_for(100)
        hub.stop("postgres")
        until(lambda: load.statuses()[503] >= 20, what="refusals")
        hub.start("postgres")
        load.wait_for(100)
    assert max(answer.seconds for answer in load.answers if answer.status == 503) <= 2.0
    assert_nothing_lost(hub, load, receiver, word, in_flight=hub.settings.deliver_in_flight)
    assert_refused_clearly(hub, load)
