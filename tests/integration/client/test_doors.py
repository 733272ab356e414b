"""Three doors, one row: HTTP, the broker and SQL write the same thing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from queue import Empty
from typing import Any

import psycopg
import pytest
from kombu import Connection
from sqlalchemy import Engine, text

from hub.client import CeleryClient, Json
from hub.core.ids import Kind, parse_id
from hub.core.settings import get_settings
from hub.queue.app import get_app
from hub.queue.contracts import Queue, TaskName
from tests.integration.client.served import Served
from workers import context
from workers.tasks import load

DATA = '{"z": 1.00, "a": "ü", "big": 123456789012345678901234567890}'
#: What may differ: the row's own id, its times, and the door.
_OWN = {"id", "message_id", "created_at", "due_at", "source", "caller", "traceparent"}
#: Events with when they are due.
_EVENTS = "message JOIN (SELECT message_id, due_at FROM hub.outbox) AS waiting ON message_id = id"


class Bell:
    """Remembers rings."""

    def __init__(self) -> None:
        self.rings: list[TaskName] = []

    def ring(self, task: TaskName, ids: Sequence[str] = ()) -> bool:
        self.rings.append(task)
        return True


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Bell:
    made = Bell()
    monkeypatch.setattr(context, "get_bell", lambda: made)
    # What a test before this one left is of another database.
    context.get_catalogue.cache_clear()
    return made


def work_off() -> list[Any]:
    """Take every message out of the broker and run its task, as a worker does."""
    load()
    url = get_settings().celery_broker_url
    assert url is not None
    answers = []
    options = {"global_keyprefix": "hub:", "priority_steps": [0]}
    with (
        Connection(url, transport_options=options) as connection,
        connection.SimpleQueue(Queue.INTAKE.value) as queue,
    ):
        while (message := taken(queue)) is not None:
            _, kwargs, _ = message.payload
            answers.append(get_app().tasks[message.headers["task"]].run(**kwargs))
            message.ack()
    return answers


def taken(queue: Any) -> Any:
    try:
        return queue.get(block=False)
    except Empty:
        return None


def rows(engine: Engine, table: str) -> dict[str, dict[str, Any]]:
    with engine.connect() as conn:
        found = conn.execute(text(f"SELECT * FROM hub.{table}")).mappings().all()
    return {row["source"]: dict(row) for row in found}


def same(found: dict[str, dict[str, Any]]) -> bool:
    """All three doors wrote, and only what belongs to each row differs."""
    assert set(found) == {"http", "celery", "sql"}
    first, *others = (
        {name: value for name, value in row.items() if name not in _OWN} for row in found.values()
    )
    for other in others:
        assert other == first
    for row in found.values():
        assert abs((row["due_at"] - row["created_at"]).total_seconds()) < 1
    return True


def sql(statement: str, *values: Any) -> Any:
    url = get_settings().database_url
    assert url is not None
    with psycopg.connect(url.get_secret_value()) as connection:
        row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return row[0]


def test_an_event_is_the_same_row_through_every_door(
    served: Served, engine: Engine, redis_url: str, bell: Bell
) -> None:
    # Each door has an id of its own: the same one would be one event, whichever door it comes through.
    served.client.publish("invoice.paid", Json(DATA), id="e-http")
    client = CeleryClient(redis_url, served.tenant)
    client.publish("invoice.paid", Json(DATA), id="e-celery")
    client.close()
    assert work_off() == [{"accepted": 1, "repeated": 0, "conflicts": 0}]
    assert bell.rings == [TaskName.DELIVERIES_SEND]
    made = sql("SELECT hub.publish_event(%s, 'invoice.paid', %s, 'e-sql')", served.tenant, DATA)
    found = rows(engine, _EVENTS)
    assert {door: row["event_id"] for door, row in found.items()} == {door: f"e-{door}" for door in found}
    for row in found.values():
        del row["event_id"]
    assert same(found)
    assert found["sql"]["data"] == DATA
    assert found["sql"]["id"] == parse_id(Kind.MESSAGE, made)


def test_one_id_is_one_event_whichever_doors_it_comes_through(
    served: Served, engine: Engine, redis_url: str, bell: Bell
) -> None:
    first = served.client.publish("a", Json(DATA), id="same")
    client = CeleryClient(redis_url, served.tenant)
    client.publish("a", Json(DATA), id="same")
    client.close()
    assert work_off() == [{"accepted": 0, "repeated": 1, "conflicts": 0}]
    assert sql("SELECT hub.publish_event(%s, 'a', %s, 'same')", served.tenant, DATA) == first["id"]
    assert set(rows(engine, "message")) == {"http"}
    assert bell.rings == []


def test_an_execution_is_the_same_row_through_every_door(
    served: Served, engine: Engine, redis_url: str, bell: Bell
) -> None:
    integration = served.new_integration()
    given = {"path": {"id": 42}, "query": {"z": 1, "a": "ü"}}
    served.client.execute(integration, "get_user", given)
    client = CeleryClient(redis_url, served.tenant)
    client.execute(integration, "get_user", given, idempotency_key="k")
    client.execute(integration, "get_user", given, idempotency_key="k")
    client.close()
    assert [answer["fresh"] for answer in work_off()] == [True, False]
    assert bell.rings == [TaskName.EXECUTIONS_RUN]
    sql(
        "SELECT hub.execute_integration(%s, %s, 'get_user', %s)",
        served.tenant,
        integration,
        json.dumps(given),
    )
    found = rows(engine, "execution")
    assert same(found)
    assert found["sql"]["input"] == given


def test_what_a_transaction_rolls_back_was_never_published(served: Served, engine: Engine) -> None:
    url = get_settings().database_url
    assert url is not None
    with psycopg.connect(url.get_secret_value()) as connection:
        connection.execute("SELECT hub.publish_event(%s, 'a', '1')", (served.tenant,))
        connection.rollback()
    assert rows(engine, "message") == {}
