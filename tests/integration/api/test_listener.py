from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from hub.api.listener import CHANNEL, Listener
from hub.queue.contracts import TaskName
from tests.integration.api.conftest import wait_for
from tests.support.waiting import in_time

PATIENCE = 10.0


class Heard:
    """Rings that came, and a way to wait for one."""

    def __init__(self) -> None:
        self.tasks: list[TaskName] = []
        self.news = threading.Event()

    def ring(self, task: TaskName, ids: object = ()) -> None:
        self.tasks.append(task)
        self.news.set()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def listener(database_url: str, heard: Heard) -> Iterator[Listener]:
    made = Listener(database_url, heard.ring)
    made.start()
    assert made.wait_until_listening(PATIENCE)
    yield made
    made.stop()


def notify(url: str, payload: str, *, commit: bool = True) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
        if not commit:
            connection.rollback()


def test_a_notification_rings_within_200_ms(database_url: str, listener: Listener, heard: Heard) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:

        def rings() -> None:
            heard.tasks.clear()
            heard.news.clear()
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, TaskName.DELIVERIES_SEND.value))
            assert heard.news.wait(PATIENCE)

        in_time(0.2, rings)
    assert heard.tasks == [TaskName.DELIVERIES_SEND]


def test_a_transaction_that_is_rolled_back_does_not_ring(
    database_url: str, listener: Listener, heard: Heard
) -> None:
    notify(database_url, TaskName.DELIVERIES_SEND.value, commit=False)
    notify(database_url, TaskName.EXECUTIONS_RUN.value)
    assert heard.news.wait(PATIENCE)
    assert heard.tasks == [TaskName.EXECUTIONS_RUN]


@pytest.mark.parametrize("payload", ["", "nonsense", TaskName.EVENTS_PUBLISH.value, "x" * 5000])
def test_what_names_no_pump_is_logged_and_does_not_ring(
    database_url: str, listener: Listener, heard: Heard, payload: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "hub.api.listener"):
        notify(database_url, payload)
        notify(database_url, TaskName.CHECKS_RUN.value)
        assert heard.news.wait(PATIENCE)
    assert heard.tasks == [TaskName.CHECKS_RUN]
    assert "names no pump" in caplog.text
    assert len(caplog.text) < 500


def test_it_listens_again_after_its_connection_was_cut(
    database_url: str, listener: Listener, heard: Heard
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'hub listener' AND datname = current_database()"
        )

        def heard_again() -> bool:
            notify(database_url, TaskName.DELIVERIES_SEND.value)
            return heard.news.wait(0.1)

        wait_for(heard_again, "a ring after the cut")


def test_it_stops_while_the_database_is_out_of_reach() -> None:
    made = Listener("postgresql://nobody@127.0.0.1:1/none", Heard().ring)
    made.start()
    assert not made.wait_until_listening(0.3)
    started = time.monotonic()
    made.stop()
    # Its thread is waited for five seconds.
    assert time.monotonic() - started < 4.5
