"""Valkey forgets everything, or hangs. It is a doorbell: the rows are elsewhere."""

from __future__ import annotations

import shutil
import time

import pytest

from tests.faults.load import Load, assert_nothing_lost
from tests.support.receivers import FastReceiver
from tests.support.stack import RunningHub

pytestmark = pytest.mark.faults


def test_flushall_under_load_loses_and_repeats_nothing(
    hub: RunningHub, receiver: FastReceiver, word: str
) -> None:
    with Load(hub, word) as load:
        for _ in range(3):
            load.wait_for(200)
            hub.redis.flushall()
        load.wait_for(200)
    assert_nothing_lost(hub, load, receiver, word)
    assert set(load.statuses()) == {202}


def test_while_valkey_hangs_publishing_goes_on_and_afterwards_all_is_delivered(
    hub: RunningHub, receiver: FastReceiver, word: str
) -> None:
    with Load(hub, word) as load:
        load.wait_for(100)
        with hub.paused("valkey"):
            # Its clients give up after two seconds; some of them more than once in this time.
            ends = time.monotonic() + 5
            while time.monotonic() < ends:
                load.wait_for(20, seconds=3)
        load.wait_for(100)
    assert load.slowest() <= 2.0, [answer for answer in load.answers if answer.seconds > 1]
    assert_nothing_lost(hub, load, receiver, word)
    assert set(load.statuses()) <= {202, 503}
    for answer in load.answers:
        assert answer.status == 202 or '"status":503' in answer.detail.replace(" ", ""), answer


def test_a_valkey_that_was_killed_and_lost_its_data_is_found_again(
    hub: RunningHub, receiver: FastReceiver, word: str
) -> None:
    with Load(hub, word) as load:
        load.wait_for(200)
        hub.kill("valkey")
        shutil.rmtree(hub.settings.data_dir / "valkey" / "appendonlydir")
        load.wait_for(200)
        hub.start("valkey")
        load.wait_for(200)
    assert_nothing_lost(hub, load, receiver, word)
    assert set(load.statuses()) == {202}
