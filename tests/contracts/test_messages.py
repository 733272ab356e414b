"""Whole Celery messages as they lie in the broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery
from kombu import Connection
from kombu.transport.memory import Channel

from hub.client import CeleryClient, Json
from hub.queue.bell import Bell
from hub.queue.contracts import Doorbell, TaskName
from hub.queue.contracts import Queue as QueueName
from tests.contracts.catalogue import golden, message

#: What differs from one message to the next.
_OF_THE_MOMENT = {"id", "root_id", "origin"}
_URL = "memory://"


@pytest.fixture(autouse=True)
def _empty_broker() -> Iterator[None]:
    Channel.queues.clear()
    yield
    Channel.queues.clear()


@pytest.fixture
def app() -> Iterator[Celery]:
    made = Celery("hub-test", set_as_current=False)
    made.config_from_object("celeryconfig")
    made.conf.update(broker_url=_URL, broker_transport_options={}, task_send_sent_event=False)
    yield made
    made.close()


def taken(queue: str) -> dict[str, Any]:
    """The only message of a queue, in the shape of the golden ones."""
    with Connection(_URL) as connection, connection.SimpleQueue(queue) as waiting:
        assert waiting.qsize() == 1
        got = waiting.get(block=False)
        got.ack()
    return {
        "content_type": got.content_type,
        "content_encoding": got.content_encoding,
        "queue": queue,
        "headers": {name: value for name, value in got.headers.items() if name not in _OF_THE_MOMENT},
        "body": got.payload,
    }


class NoRedis:
    """A Redis that is away: every ring becomes a message."""

    def register_script(self, _text: str) -> Any:
        def fail(**_: Any) -> None:
            raise redis.ConnectionError

        return fail


def test_a_publish_of_the_client_is_the_golden_message() -> None:
    payload = golden(TaskName.EVENTS_PUBLISH)[0]
    events = payload["events"]
    CeleryClient(_URL, payload["tenant"]).publish_many(
        [{"type": event["type"], "data": Json(event["data"]), "id": event["id"]} for event in events]
    )
    assert taken(QueueName.INTAKE) == message("client-publish")


@pytest.mark.parametrize(("index", "name"), [(0, "client-execute"), (2, "client-execute-for-a-user")])
def test_an_execution_of_the_client_is_the_golden_message(index: int, name: str) -> None:
    payload = golden(TaskName.EXECUTIONS_SUBMIT)[index]
    fields = {field: value for field, value in payload.items() if field != "tenant"}
    CeleryClient(_URL, payload["tenant"]).execute(**fields)
    assert taken(QueueName.INTAKE) == message(name)


def test_a_doorbell_is_the_golden_message(app: Celery) -> None:
    ids = golden(TaskName.DELIVERIES_SEND)[1]["ids"]
    assert Bell(NoRedis(), app).ring(TaskName.DELIVERIES_SEND, ids)  # type: ignore[arg-type]
    assert taken(QueueName.DELIVER) == message("doorbell")


def test_the_client_sends_the_headers_that_celery_sends(app: Celery) -> None:
    CeleryClient(_URL, golden(TaskName.EVENTS_PUBLISH)[0]["tenant"]).publish("a.b", 1)
    celerys = app.amqp.as_task_v2("id", "name", (), {}, ignore_result=True).headers
    ours = taken(QueueName.INTAKE)["headers"]
    assert set(ours) == set(celerys) - _OF_THE_MOMENT
    # What a person sees of a message must not hold what was published.
    different = {"task", "kwargsrepr", "argsrepr"}
    assert {n: ours[n] for n in ours if n not in different} == {
        n: celerys[n] for n in ours if n not in different
    }


def test_nothing_that_was_published_is_in_the_headers() -> None:
    client = CeleryClient(_URL, golden(TaskName.EVENTS_PUBLISH)[0]["tenant"])
    client.publish("a.b", {"card": "canary-value"})
    assert "canary" not in json.dumps(taken(QueueName.INTAKE)["headers"])


def test_a_doorbell_holds_ids_and_nothing_else() -> None:
    assert set(Doorbell.model_fields) == {"ids"}
