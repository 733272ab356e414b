from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, text

from hub.access.issuing import open_tenant
from hub.client import BrokerUnavailable, CeleryClient
from hub.core.ids import Kind, format_id, new_uuid
from hub.embedded.valkey import EmbeddedValkey
from tests.support.waiting import until

TENANT = format_id(Kind.TENANT, new_uuid())


@pytest.fixture
def own_valkey(servers_dir: Path) -> Iterator[EmbeddedValkey]:
    """A broker that this test may pause."""
    directory = servers_dir / f"paused-{new_uuid().hex[-8:]}"
    directory.mkdir()
    directory.chmod(0o711)
    server = EmbeddedValkey(directory, durable=False)
    server.start()
    yield server
    server.stop()


def queued(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.llen("hub:hub.intake"))


def test_messages_lie_in_the_queue_of_the_hub(redis_url: str) -> None:
    client = CeleryClient(redis_url, TENANT)
    client.publish("a.b", {"x": 1})
    client.publish_many([{"type": "a", "data": i} for i in range(501)])
    assert queued(redis_url) == 3
    client.close()
    client.publish("a.b", 2)
    assert queued(redis_url) == 4
    client.close()


def test_a_prefix_of_the_deployment_is_used(redis_url: str) -> None:
    client = CeleryClient(redis_url, TENANT, global_keyprefix="other:")
    client.publish("a", 1)
    client.close()
    with redis.Redis.from_url(redis_url) as seen:
        assert seen.keys() == [b"other:hub.intake"]


def test_threads_share_one_client(redis_url: str) -> None:
    client = CeleryClient(redis_url, TENANT)
    with ThreadPoolExecutor(16) as threads:
        ids = list(threads.map(lambda i: client.publish("a", i), range(200)))
    assert len(set(ids)) == queued(redis_url) == 200
    client.close()


def test_a_thread_waits_for_a_connection_as_long_as_for_the_broker(redis_url: str) -> None:
    client = CeleryClient(redis_url, TENANT, timeout=3)
    pool = client._open_pool()
    taken = [pool.acquire() for _ in range(pool.limit)]
    with ThreadPoolExecutor(1) as thread:
        sent = thread.submit(client.publish, "a", 1)
        # More than one try at the broker may take, and less than all of the time.
        time.sleep(1.5)
        taken.pop().release()
        sent.result(10)
    assert queued(redis_url) == 1
    for one in taken:
        one.release()
    client.close()


def test_a_paused_broker_is_told_within_seconds_and_used_again_later(own_valkey: EmbeddedValkey) -> None:
    client = CeleryClient(own_valkey.url, TENANT, timeout=1.5)
    client.publish("a", 1)
    pid = own_valkey.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(BrokerUnavailable, match="send it again with the same id"):
                client.publish("a", 2)
            assert time.monotonic() - started < 10
    finally:
        os.kill(pid, signal.SIGCONT)
    client.publish("a", 3)
    assert queued(own_valkey.url) >= 2
    client.close()


@pytest.mark.parametrize(
    "url", ["redis://:canary@127.0.0.1:9/0", "amqp://user:canary@127.0.0.1:9//", "unix:///nowhere.sock"]
)
def test_a_broker_that_is_not_there_is_told_at_once_without_its_password(url: str) -> None:
    client = CeleryClient(url, TENANT)
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable) as caught:
        client.publish("a", 1)
    assert time.monotonic() - started < 10
    assert "canary" not in str(caught.value)


def test_a_real_worker_writes_what_the_client_sends(
    hub_environment: None, redis_url: str, engine: Engine
) -> None:
    with engine.begin() as conn:
        tenant = format_id(Kind.TENANT, open_tenant(conn, "acme").id)
    client = CeleryClient(redis_url, tenant)
    ids = client.publish_many([{"type": "a.b", "data": {"n": n}} for n in range(3)])
    client.publish_many([{"type": "a.b", "data": {"n": n}, "id": ids[n]} for n in range(3)])
    command = ["celery", "-A", "workers.app", "worker", "-Q", "hub.intake", "-P", "solo", "-l", "WARNING"]
    worker = subprocess.Popen([sys.executable, "-m", *command, "--without-gossip", "--without-mingle"])

    def written() -> list[str]:
        with engine.connect() as conn:
            return list(conn.execute(text("SELECT event_id FROM hub.message ORDER BY id")).scalars())

    try:
        until(lambda: queued(redis_url) == 0 and len(written()) == 3, seconds=40, what="the worker's rows")
        client.publish("a.b", 4, id="last")
        until(lambda: "last" in written(), what="the last event")
        assert written() == [*ids, "last"]
        assert worker.poll() is None
    finally:
        client.close()
        worker.terminate()
        worker.wait(30)
