"""An embedded Valkey of the test's own: data, locks, and Celery's transport over its socket."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery

from hub.core.errors import ConfigError
from hub.core.settings import load_settings
from hub.embedded.valkey import EmbeddedValkey
from tests.support.waiting import until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path)
    server.start()
    yield server
    server.stop()


def test_it_keeps_its_data_over_a_restart_and_evicts_nothing(server: EmbeddedValkey) -> None:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        client.set("queued", "1")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("port") == {"port": "0"}
    server.stop()
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.get("queued") == b"1"


def test_a_second_server_on_the_same_directory_is_refused_with_a_sentence(
    server: EmbeddedValkey, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="Another hub"):
        EmbeddedValkey(tmp_path).start()
    assert server.ready()


def test_a_server_that_an_earlier_hub_left_running_is_ended_first(
    server: EmbeddedValkey, tmp_path: Path
) -> None:
    left = server.process
    server._lock.release()  # what the kernel does when a hub is killed
    fresh = EmbeddedValkey(tmp_path)
    try:
        fresh.start()
        assert not left.alive
        assert fresh.ready()
    finally:
        fresh.stop()


def test_a_killed_server_starts_again(server: EmbeddedValkey) -> None:
    assert server.process.pid is not None
    os.kill(server.process.pid, signal.SIGKILL)
    until(lambda: not server.process.alive)
    server.stop()
    server.start()
    assert server.ready()


@pytest.mark.parametrize("database", [0, 3])
def test_celery_publishes_and_consumes_over_the_socket_in_the_chosen_database(
    server: EmbeddedValkey, database: int
) -> None:
    settings = load_settings({"HUB_REDIS_URL": f"{server.url}?db={database}"})
    app = Celery(broker=settings.celery_broker_url)
    app.send_task("hub.test", kwargs={"payload": {"id": 1}}, queue="hub.test")
    with redis.Redis.from_url(server.url) as client:
        assert list(client.info("keyspace")) == [f"db{database}"]
    with app.connection_for_read() as connection, connection.SimpleQueue("hub.test") as queue:
        message = queue.get(timeout=5)
        message.ack()
    assert message.headers["task"] == "hub.test"
    app.close()
