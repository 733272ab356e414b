"""Workers as processes: strange messages, heartbeats, shutdown in good order."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection

from hub.embedded.children import heartbeat_is_fresh
from hub.queue.contracts import Queue
from tests.support.receivers import Answer, Inbox, Request
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.acceptance

#: Each worker and a queue of its own.
WORKERS = {"execute": Queue.EXECUTE, "deliver": Queue.DELIVER, "system": Queue.SYSTEM}


def send(
    hub: RunningHub, queue: str, body: Any, *, task: Any, content_type: str = "application/json", **extra: Any
) -> None:
    """Publish a task message by hand; `body` as text or bytes goes out as it is."""
    name = str(uuid4())
    headers = {} if task is None else {"lang": "py", "task": task, "id": name, "root_id": name, **extra}
    raw = body if isinstance(body, str | bytes) else json.dumps(body)
    with Connection(
        hub.broker_url, transport_options={"global_keyprefix": "hub:", "priority_steps": [0]}
    ) as broker:
        broker.Producer().publish(
            raw,
            exchange="",
            routing_key=queue,
            headers=headers,
            content_type=content_type,
            content_encoding="binary" if isinstance(raw, bytes) else "utf-8",
        )


def rejected(hub: RunningHub, since: float) -> list[Any]:
    return hub.rows(
        "SELECT task, queue, reason, body_excerpt FROM hub.rejected_message"
        " WHERE created_at > to_timestamp(:since) ORDER BY created_at",
        since=since,
    )


def database_time(hub: RunningHub) -> float:
    return float(hub.query("SELECT extract(epoch FROM now())::float8"))


def pid(hub: RunningHub, worker: str) -> int | None:
    assert hub.processes[worker].alive, hub.log(worker)
    return hub.processes[worker].pid


def assert_still_works(hub: RunningHub, inbox: Inbox, word: str) -> None:
    """Every worker does its part: intake and sweep, delivery, execution."""
    before = len(inbox.requests)
    hub.http.create_endpoint(name=word, url=inbox.url, event_types=[word])
    integration = hub.http.create_integration(
        name=word, base_url=inbox.url, operations={"get": {"path": "/x"}}
    )
    hub.celery.publish(word, {})
    assert hub.http.execute(integration["id"], "get", wait=20)["state"] == "done"
    inbox.wait(before + 2)


def strange_messages(word: str) -> list[tuple[Any, dict[str, Any]]]:
    """Body and headers of messages that are nearly, or not at all, the hub's."""
    good = [[], {"payload": {"ids": []}}, {}]
    sweep = {"task": "hub.ledger.sweep"}
    return [
        (good, {"task": f"hub.no_such_task.{word}"}),
        ("x" * 200_000, {"task": f"hub.no_such_task.{word}"}),
        ([[], {"payload": {"ids": "not a list"}}, {}], {"task": "hub.deliveries.send"}),
        ([[], {"payload": 17}, {}], {"task": "hub.executions.run"}),
        ([[1, 2, 3], {}, {}], {"task": "hub.checks.run"}),
        ({"an": "object"}, sweep),
        ('{"cut off', sweep),
        (b"\x80\x04\x95pickle", {**sweep, "content_type": "application/x-python-serialize"}),
        ("<xml/>", {**sweep, "content_type": "application/xml"}),
        ("just text", {"task": None, "content_type": "text/plain"}),
        (b"\xff\xfe\x00", {"task": None, "content_type": "application/octet-stream"}),
        (good, {"task": 17}),
        (good, {**sweep, "id": None}),
        (good, {**sweep, "id": {"a": 1}}),
        (good, {**sweep, "eta": "not a time"}),
        (good, {**sweep, "expires": {}}),
        (good, {**sweep, "retries": "many"}),
        (good, {**sweep, "retries": -1}),
        (good, {**sweep, "timelimit": [1, "soon"]}),
        (good, {**sweep, "shadow": 17}),
        (good, {**sweep, "argsrepr": 5, "kwargsrepr": [1]}),
        (good, {**sweep, "compression": 5}),
    ]


@pytest.mark.parametrize("worker", list(WORKERS))
def test_messages_that_no_task_understands_are_recorded_and_the_worker_lives_on(
    hub: RunningHub, inbox: Inbox, word: str, worker: str
) -> None:
    queue = WORKERS[worker].value
    first = pid(hub, worker)
    since = database_time(hub)
    for body, options in strange_messages(word):
        send(hub, queue, body, **options)
    until(lambda: len(rejected(hub, since)) >= len(strange_messages(word)), what="a record of each")
    assert_still_works(hub, inbox, word)
    assert pid(hub, worker) == first, "the worker was not restarted"
    rows = rejected(hub, since)
    reasons = Counter(row.reason.split(":")[0] for row in rows)
    assert "no such task" in reasons
    assert "payload" in reasons
    assert f"hub.no_such_task.{word}" in {row.task for row in rows}
    assert all(len(row.body_excerpt) <= 2048 for row in rows)


@pytest.mark.parametrize("worker", list(WORKERS))
def test_garbage_bytes_in_the_brokers_list_do_not_harm_a_worker(
    hub: RunningHub, inbox: Inbox, word: str, worker: str
) -> None:
    key = f"hub:{WORKERS[worker].value}"
    first = pid(hub, worker)
    envelope = {
        "body": base64.b64encode(b"[[], {}, {}]").decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "hub.ledger.sweep", "id": "x"},
        "properties": {
            "delivery_info": {"exchange": "", "routing_key": "x"}, "delivery_tag": word, "body_encoding": "base64",
        },
    }  # fmt: skip
    garbage: list[bytes | str] = [
        b"\x00\xff\xfe garbage",
        "",
        "{",
        "null",
        "[]",
        "17",
        '"text"',
        "{}",
        '{"body": 1}',
        json.dumps(envelope | {"properties": {}}),
        json.dumps(envelope | {"properties": None}),
        json.dumps(envelope | {"headers": None}),
        json.dumps(envelope | {"headers": [1]}),
        json.dumps(envelope | {"body": "not base64 %%%"}),
        json.dumps(envelope | {"content-encoding": "no-such-encoding"}),
        "[" * 5000,
    ]
    since = database_time(hub)
    hub.redis.lpush(key, *garbage)
    until(lambda: hub.redis.llen(key) == 0, what=f"an empty {key}")
    assert_still_works(hub, inbox, word)
    assert pid(hub, worker) == first, "the worker was not restarted"
    until(lambda: len(rejected(hub, since)) >= len(garbage), what="a record of each")


def test_a_refused_event_of_the_celery_door_is_recorded_without_its_data(hub: RunningHub, word: str) -> None:
    since = database_time(hub)
    payload = {"tenant": f"ten_{'0' * 32}", "events": [{"id": word, "type": word, "data": '{"private": 1}'}]}
    send(hub, Queue.INTAKE.value, [[], {"payload": payload}, {}], task="hub.events.publish")
    until(lambda: rejected(hub, since), what="the rejection")
    (row,) = [row for row in rejected(hub, since) if row.task == "hub.events.publish"]
    assert "tenant" in row.reason
    assert "private" not in row.body_excerpt


def test_every_worker_writes_signs_of_life(hub: RunningHub) -> None:
    row = (
        "SELECT queues, pid, stopped_at, extract(epoch FROM now() - seen_at)::float8 AS age"
        " FROM hub.worker WHERE name LIKE :name || '@%'"
    )
    for name, queue in WORKERS.items():
        # Each beats every five seconds.
        until(lambda: hub.rows(row, name=name)[0].age < 1, seconds=10, what=f"a fresh heartbeat of {name}")  # noqa: B023
        (found,) = hub.rows(row, name=name)
        assert (found.pid, found.stopped_at) == (pid(hub, name), None)
        assert queue.value in found.queues.split(",")
        assert heartbeat_is_fresh(hub.settings.data_dir / "run" / f"{name}.heartbeat", time.time())


def test_a_paused_worker_falls_silent(hub: RunningHub) -> None:
    """The heartbeat comes from the loop that consumes: a worker that hangs cannot go on sending it."""
    age = "SELECT extract(epoch FROM now() - seen_at)::float8 FROM hub.worker WHERE name LIKE 'execute@%'"
    with hub.paused("execute"):
        until(lambda: hub.query(age) > 6, seconds=15, what="a heartbeat that is overdue")
    until(lambda: hub.query(age) < 1, seconds=15, what="a heartbeat after the pause")


def test_sigterm_lets_quick_calls_end_and_hands_the_others_back(
    hub: RunningHub, inbox: Inbox, word: str
) -> None:
    """No row waits for its lease to lapse, which would take 90 s here; nothing is lost."""
    release = threading.Event()

    def hang_at_first(request: Request) -> Answer:
        if request.path == "/hang" and not release.is_set():
            release.wait(30)
        return Answer()

    inbox.answer = hang_at_first
    hub.http.create_endpoint(name=f"{word}-hang", url=f"{inbox.url}/hang", event_types=[word])
    hub.http.create_endpoint(name=f"{word}-quick", url=f"{inbox.url}/quick", event_types=[word])
    receipts = hub.http.publish_many([{"type": word, "data": n} for n in range(50)])
    inbox.wait(100)
    counts = (
        "SELECT count(*) FROM hub.delivery d JOIN hub.message m ON m.id = d.message_id"
        " WHERE m.type = :type AND d.state = :state"
    )
    until(lambda: hub.query(counts, type=word, state="done") == 50, what="the quick ones")
    assert hub.query(counts, type=word, state="leased") == 50

    started = time.monotonic()
    with hub.stopped("deliver"):
        stopped_after = time.monotonic() - started
        assert hub.processes["deliver"].returncode is not None
        leased = hub.query(counts, type=word, state="leased")
        due = hub.query(counts, type=word, state="due")
        name = "SELECT stopped_at FROM hub.worker WHERE name LIKE 'deliver@%'"
        assert hub.query(name) is not None, "its row says that it ended on purpose"
        release.set()
    assert (leased, due) == (0, 50), hub.log("deliver")
    print(f"SIGTERM with 50 calls in flight: ended after {stopped_after:.1f} s")
    assert stopped_after < hub.processes["deliver"].child.stop_timeout
    until(lambda: hub.query(counts, type=word, state="done") == 100, what="all deliveries")

    seen = Counter((request.path, request.webhook_id) for request in inbox.requests)
    ids = {receipt["id"] for receipt in receipts}
    assert {key: count for key, count in seen.items() if key[0] == "/quick"} == {
        ("/quick", one): 1 for one in ids
    }
    assert {key: count for key, count in seen.items() if key[0] == "/hang"} == {
        ("/hang", one): 2 for one in ids
    }
    interrupted = hub.query(
        "SELECT count(*) FROM hub.attempt a JOIN hub.delivery d ON d.id = a.work_id"
        " JOIN hub.message m ON m.id = d.message_id WHERE m.type = :type AND a.outcome = 'interrupted'",
        type=word,
    )
    assert interrupted == 50, "what may have arrived leaves an attempt"


def test_a_worker_whose_pool_has_not_yet_confirmed_a_message_ends_soon(hub: RunningHub) -> None:
    main = pid(hub, "deliver")
    (child,) = map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())

    def is_given_to_a_paused_child() -> bool:
        os.kill(child, signal.SIGSTOP)
        send(hub, "hub.deliver", [[], {"payload": {"ids": []}}, {}], task="hub.deliveries.send")
        late = time.monotonic() + 2
        while hub.redis.exists("hub:hub.deliver"):
            if time.monotonic() > late:
                # A pump was running in it.
                os.kill(child, signal.SIGCONT)
                until(lambda: not hub.redis.exists("hub:hub.deliver"), what="the end of what it did")
                return False
            time.sleep(0.02)
        return True

    try:
        until(
            is_given_to_a_paused_child, seconds=60, what="a child that has a message and says nothing of it"
        )
        with ThreadPoolExecutor(1) as thread:
            stopping = thread.submit(hub.stop, "deliver")
            # Nothing tells that the main process has given the message up.
            time.sleep(1)
            os.kill(child, signal.SIGCONT)
            stopping.result()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)
        if not hub.processes["deliver"].alive:
            hub.start("deliver")
