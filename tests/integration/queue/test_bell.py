"""The doorbell on a real Valkey: one message for many rings, none while somebody listens, and never an error."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from celery import Celery

from hub.core.settings import load_settings
from hub.embedded.valkey import EmbeddedValkey
from hub.queue.bell import PUMPS, Bell, connect
from hub.queue.contracts import DOORBELL_IDS, ROUTES, Doorbell, TaskName
from tests.support.waiting import in_time, until

TASK = TaskName.DELIVERIES_SEND
OTHER = TaskName.EXECUTIONS_RUN


@dataclass
class Broker:
    """Takes messages, or refuses them."""

    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    fault: Exception | None = None

    def send_task(self, name: str, *, kwargs: dict[str, Any]) -> None:
        if self.fault is not None:
            raise self.fault
        self.sent.append((name, kwargs["payload"]))


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as made:
        yield made


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def bell(client: redis.Redis, broker: Broker) -> Bell:
    return Bell(client, broker)  # type: ignore[arg-type]


def key(name: str, task: TaskName = TASK) -> str:
    return f"hub:bell:{task.value}:{name}"


def test_many_rings_are_one_message(bell: Bell, broker: Broker) -> None:
    assert all(bell.ring(TASK, ["msg_1"]) for _ in range(50))
    assert broker.sent == [("hub.deliveries.send", {"ids": ["msg_1"]})]


def test_each_pump_has_its_own_bell(bell: Bell, broker: Broker) -> None:
    for task in PUMPS:
        bell.wake(OTHER)
        bell.ring(task)
    assert {name for name, _ in broker.sent} == {task.value for task in PUMPS} - {OTHER.value}


def test_a_ring_is_absorbed_while_a_pump_listens(bell: Bell, broker: Broker) -> None:
    bell.wake(TASK)
    assert not bell.answered(TASK)
    assert bell.ring(TASK)
    assert bell.ring(TASK)
    assert broker.sent == []
    assert bell.answered(TASK)
    assert not bell.answered(TASK)


def test_a_listening_pump_stays_awake_for_as_long_as_it_looks(
    bell: Bell, client: redis.Redis, broker: Broker
) -> None:
    bell.wake(TASK)
    client.pexpire(key("awake"), 50)
    bell.answered(TASK)
    assert client.pttl(key("awake")) > 500
    # A pump that died is asleep by itself.
    client.pexpire(key("awake"), 1)
    until(lambda: not client.exists(key("awake")))
    bell.ring(TASK)
    assert len(broker.sent) == 1


def test_a_ring_after_the_pump_fell_asleep_is_a_message(bell: Bell, broker: Broker) -> None:
    bell.wake(TASK)
    bell.sleep(TASK)
    assert not bell.answered_after_sleep(TASK)
    bell.ring(TASK)
    assert len(broker.sent) == 1


def test_a_ring_between_the_last_look_and_sleep_is_found_by_the_pump(bell: Bell, broker: Broker) -> None:
    bell.wake(TASK)
    assert not bell.answered(TASK)
    bell.ring(TASK)
    bell.sleep(TASK)
    assert bell.answered_after_sleep(TASK)
    assert broker.sent == []


def test_waking_up_makes_the_next_sleep_ring_again(bell: Bell, broker: Broker) -> None:
    bell.ring(TASK)
    bell.wake(TASK)  # the message arrived
    bell.sleep(TASK)
    bell.ring(TASK)
    assert len(broker.sent) == 2


def test_a_lost_message_is_sent_again_a_second_later(bell: Bell, client: redis.Redis, broker: Broker) -> None:
    bell.ring(TASK)
    broker.sent.clear()
    assert 0 < client.pttl(key("sent")) <= 1_000
    client.pexpire(key("sent"), 1)
    until(lambda: not client.exists(key("sent")))
    bell.ring(TASK)
    assert len(broker.sent) == 1


def test_everything_may_vanish(bell: Bell, client: redis.Redis, broker: Broker) -> None:
    bell.wake(TASK)
    bell.ring(TASK)
    client.flushdb()
    assert not bell.answered(TASK)
    assert bell.ring(TASK)
    assert len(broker.sent) == 1


def test_all_keys_expire(bell: Bell, client: redis.Redis) -> None:
    bell.wake(TASK)
    bell.ring(TASK)
    bell.ring(OTHER)
    bell.call_help(TASK)
    assert all(0 < client.pttl(name) <= 10_000 for name in client.keys("*"))


def test_a_message_names_a_handful_of_ids(bell: Bell, broker: Broker) -> None:
    bell.ring(TASK, [f"msg_{n}" for n in range(1_000)])
    assert broker.sent[0][1] == {"ids": [f"msg_{n}" for n in range(DOORBELL_IDS)]}
    Doorbell.model_validate(broker.sent[0][1])


def test_a_full_pump_calls_for_help_once_a_second(bell: Bell, broker: Broker) -> None:
    for _ in range(5):
        bell.call_help(TASK)
    bell.ring(TASK)
    assert broker.sent == [("hub.deliveries.send", {"ids": []})]


def test_a_broker_that_refuses_costs_the_ring_and_nothing_else(
    bell: Bell, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.fault = OSError("redis://:canary91@h refused")
    assert not bell.ring(TASK)
    bell.call_help(OTHER)
    assert "the sweep will ring again" in caplog.text
    assert "canary91" not in caplog.text


def check_silence(bell: Bell, broker: Broker, seconds: float) -> None:
    """Nothing raises, and each of the six calls ends in time; the ring goes out as a message."""
    started = time.monotonic()
    assert bell.ring(TASK, ["msg_1"])
    bell.call_help(TASK)
    bell.wake(TASK)
    bell.sleep(TASK)
    # "Yes" would make an idle pump ask the database as fast as it can.
    assert not bell.answered(TASK)
    assert not bell.answered_after_sleep(TASK)
    assert time.monotonic() - started < seconds
    assert len(broker.sent) == 1


def test_a_redis_that_refuses_connections(broker: Broker) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        check_silence(Bell(connect(f"redis://127.0.0.1:{port}"), broker), broker, 5)  # type: ignore[arg-type]


def test_a_redis_that_never_answers(broker: Broker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}"
        # Two timeouts would be four seconds.
        in_time(3.5, lambda: Bell(connect(url), broker).ring(TASK))  # type: ignore[arg-type]
        assert broker.sent


def test_a_redis_that_wants_a_password(valkey_url: str, broker: Broker) -> None:
    url = valkey_url.replace("unix://", "unix://nobody:canary91@")
    assert url != valkey_url
    check_silence(Bell(connect(url), broker), broker, 5)  # type: ignore[arg-type]


def test_a_redis_that_was_restarted_is_used_again(servers_dir: Any, broker: Broker, tmp_path: Any) -> None:
    directory = servers_dir / "bell"
    directory.mkdir(mode=0o711)
    server = EmbeddedValkey(directory, durable=False)
    client = connect(server.start())
    bell = Bell(client, broker)  # type: ignore[arg-type]
    bell.wake(TASK)
    server.stop()
    assert not bell.answered(TASK)
    bell.ring(TASK)
    assert len(broker.sent) == 1
    server = EmbeddedValkey(directory, durable=False)
    server.start()
    try:
        until(lambda: _awake_again(bell, client))
        bell.ring(TASK)
        assert bell.answered(TASK)
        assert len(broker.sent) == 1
    finally:
        client.close()
        server.stop()


def _awake_again(bell: Bell, client: redis.Redis) -> bool:
    bell.wake(TASK)
    return bool(client.exists(key("awake")))


def test_rings_from_many_threads_are_one_message(bell: Bell, broker: Broker) -> None:
    threads = [threading.Thread(target=bell.ring, args=(TASK,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(broker.sent) == 1


def test_a_message_lies_in_the_database_that_the_url_names(redis_url: str) -> None:
    """kombu reads another spelling than redis-py; with the wrong one workers listen to an empty database."""
    broker_url = load_settings({"HUB_REDIS_URL": redis_url}).celery_broker_url
    app = Celery(broker=broker_url, set_as_current=False)
    app.conf.update(task_default_queue="hub.system", broker_transport_options={"global_keyprefix": "hub:"})
    with app.connection_for_write() as connection:
        Bell(connect(redis_url), app).ring(TASK)
        channel: Any = connection.default_channel
        assert channel.client.connection_pool.connection_kwargs["db"] == int(redis_url.rpartition("=")[2])
    app.close()
    with connect(redis_url) as client:
        assert client.llen("hub:hub.system") == 1


def test_every_pump_answers_on_the_queue_of_its_route() -> None:
    assert {task: ROUTES[task] for task in PUMPS} == PUMPS
