"""`python -m hub.api` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import requests
from sqlalchemy import Engine

from hub.access.issuing import issue_key, open_tenant
from hub.access.scopes import Scope
from hub.api.listener import CHANNEL
from hub.queue.bell import connect
from hub.queue.contracts import TaskName
from hub.vault.keyring import generate_key, parse_keys
from hub.vault.vault import Vault
from tests.integration.api.conftest import wait_for
from tests.support.servers import MASTER_KEY


def assert_ends_cleanly(child: subprocess.Popen[str], ending: signal.Signals) -> None:
    child.send_signal(ending)
    _, log = child.communicate(timeout=10)
    assert child.returncode == 0
    assert "Traceback" not in log


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("HUB_")},
        "HUB_DATABASE_URL": database_url,
        "HUB_REDIS_URL": redis_url,
        "HUB_MASTER_KEYS": MASTER_KEY,
        "HUB_API_PORT": "0",
    }


@contextmanager
def process(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "hub.api"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate(timeout=10)


def address(child: subprocess.Popen[str]) -> str:
    assert child.stderr is not None
    for line in child.stderr:
        if match := re.search(r"http://127\.0\.0\.1:\d+", line):
            return match[0]
    pytest.fail("the process ended before it served")


def test_it_serves_until_sigterm_and_ends_cleanly(environment: dict[str, str]) -> None:
    with process(environment) as child:
        base = address(child)
        assert requests.get(f"{base}/readyz", timeout=5).status_code == 200
        assert_ends_cleanly(child, signal.SIGTERM)


def test_an_event_and_a_notification_ring_the_real_bell(
    environment: dict[str, str], engine: Engine, database_url: str, redis_url: str
) -> None:
    with engine.begin() as conn:
        tenant = open_tenant(conn, "acme")
        _, token = issue_key(conn, tenant.id, "test", [Scope.EVENTS_WRITE])
    bell = connect(redis_url)

    def rung(task: TaskName) -> bool:
        return bool(bell.exists(f"hub:bell:{task.value}:rung"))

    with process(environment) as child:
        answer = requests.post(
            f"{address(child)}/v1/events",
            json={"type": "a.b", "data": {}},
            headers={"Authorization": f"Bearer {token.reveal()}"},
            timeout=5,
        )
        assert answer.status_code == 202
        wait_for(lambda: rung(TaskName.DELIVERIES_SEND), "the bell of a published event")

        def notified() -> bool:
            with psycopg.connect(database_url) as connection:
                connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, TaskName.EXECUTIONS_RUN.value))
            return rung(TaskName.EXECUTIONS_RUN)

        wait_for(notified, "the bell of a notification")
        assert_ends_cleanly(child, signal.SIGINT)
    bell.close()


def assert_refuses_to_start(environment: dict[str, str], status: int, sentence: str) -> None:
    with process(environment) as child:
        _, log = child.communicate(timeout=30)
    assert child.returncode == status
    assert sentence in log
    assert "Traceback" not in log
    assert "canary" not in log
    assert len(log.splitlines()) == 1


def test_a_setting_that_is_missing_is_named(environment: dict[str, str]) -> None:
    del environment["HUB_MASTER_KEYS"]
    assert_refuses_to_start(environment, os.EX_CONFIG, "HUB_MASTER_KEYS is not set")


def test_a_database_that_does_not_answer_is_told_without_its_password(environment: dict[str, str]) -> None:
    environment["HUB_DATABASE_URL"] = "postgresql://hub:canary@127.0.0.1:1/hub"
    assert_refuses_to_start(environment, os.EX_UNAVAILABLE, "does not answer")


def test_a_key_ring_of_another_database_is_refused(environment: dict[str, str], engine: Engine) -> None:
    with engine.begin() as conn:
        Vault(parse_keys(MASTER_KEY)).check(conn)  # the database takes this ring as its own
    environment["HUB_MASTER_KEYS"] = generate_key(os.urandom)
    assert_refuses_to_start(environment, os.EX_CONFIG, "does not belong to this database")
