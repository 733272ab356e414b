from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from kombu import Connection

from hub.client import CeleryClient, Json
from hub.client.celery import _connection
from hub.client.results import EventInput
from hub.queue.contracts import PublishEvents, SubmitExecution
from hub.web.bodies import parse_strict
from hub.webhooks.events import make_event

TENANT = "ten_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e"
INTEGRATION = "int_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Payloads that would have gone to the broker."""
    payloads: list[Any] = []
    monkeypatch.setattr(
        CeleryClient, "_send", lambda _self, _task, payload, _summary: payloads.append(payload)
    )
    return payloads


@pytest.fixture
def client() -> CeleryClient:
    return CeleryClient("redis://:canary@broker/0", TENANT)


def test_an_event_without_an_id_gets_one_that_can_be_a_webhook_id(
    client: CeleryClient, sent: list[Any]
) -> None:
    first, second = (client.publish("invoice.paid", {"a": 1}) for _ in range(2))
    assert first != second
    assert first.startswith("evt_")
    assert "." not in first
    assert [payload.events[0].id for payload in sent] == [first, second]


def test_data_is_serialised_once_with_keys_and_characters_as_they_are(
    client: CeleryClient, sent: list[Any]
) -> None:
    client.publish("a", {"z": 1, "a": ["ü", None, 1.5]}, id="x")
    client.publish("a", Json('{"total": 10.00}'))
    assert [payload.events[0].data for payload in sent] == ['{"z":1,"a":["ü",null,1.5]}', '{"total": 10.00}']


def test_a_long_list_is_cut_by_count_and_by_bytes(client: CeleryClient, sent: list[PublishEvents]) -> None:
    ids = client.publish_many([{"type": "a", "data": i, "id": f"e-{i}"} for i in range(1201)])
    assert [len(payload.events) for payload in sent] == [500, 500, 201]
    assert (
        [event.id for payload in sent for event in payload.events] == ids == [f"e-{i}" for i in range(1201)]
    )
    sent.clear()
    client.publish_many([{"type": "a", "data": "x" * 600_000} for _ in range(3)])
    assert [len(payload.events) for payload in sent] == [1, 1, 1]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "a b", "data": 1},
        {"type": "a..b", "data": 1},
        {"type": "", "data": 1},
        {"type": "a" * 129, "data": 1},
        {"type": "a", "data": 1, "id": "has.dot"},
        {"type": "a", "data": 1, "id": ""},
        {"type": "a", "data": 1, "id": "x" * 129},
        {"type": "a", "data": "x" * 1_048_576},
        {"type": "a", "data": "ü" * 600_000},
        {"type": "a", "data": float("nan")},
        {"type": "a", "data": {"k": "\ud800"}},
        {"type": "a"},
        {"data": 1},
        {"type": "a", "data": 1, "typo": 2},
    ],
)
def test_an_event_that_a_worker_would_refuse_is_refused_here_and_none_is_sent(
    client: CeleryClient, sent: list[Any], event: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"events\.1|JSON|surrogates"):
        client.publish_many([{"type": "good", "data": 1}, cast("EventInput", event)])
    assert not sent


@pytest.mark.parametrize("event_type", ["a", "a.b", "A-1_b.c", "a" * 128])
@pytest.mark.parametrize("event_id", ["x", "a:b-c_9", "i" * 128])
def test_what_passes_here_passes_in_the_worker(
    client: CeleryClient, sent: list[PublishEvents], event_type: str, event_id: str
) -> None:
    client.publish(event_type, {"a": 1}, id=event_id)
    event = sent[0].events[0]
    parse_strict(event.data.encode(), max_bytes=1_048_576, max_depth=64)
    assert make_event(event.type, event.data, event.id).event_id == event_id


def test_an_execution_carries_its_key(client: CeleryClient, sent: list[SubmitExecution]) -> None:
    made = client.execute(INTEGRATION, "get_user", {"path": {"id": 1}})
    given = client.execute(INTEGRATION, "get_user", idempotency_key="mine")
    assert [payload.idempotency_key for payload in sent] == [made, given]
    assert given == "mine"
    assert (sent[0].tenant, sent[0].integration, sent[0].input) == (TENANT, INTEGRATION, {"path": {"id": 1}})


def test_an_execution_says_who_asks_and_goes_on_with_a_trace(
    client: CeleryClient, sent: list[SubmitExecution]
) -> None:
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    client.execute(INTEGRATION, "get", user="kim", component="shop", traceparent=trace)
    client.execute(INTEGRATION, "get")
    assert [(one.user, one.component, one.traceparent) for one in sent] == [
        ("kim", "shop", trace),
        (None, None, None),
    ]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("user", "", "user has too few characters"),
        ("user", "canary" * 43, "user has too many characters"),
        ("user", 7, "user is not of the right kind"),
        ("component", "canary" * 22, "component has too many characters"),
        ("traceparent", "0" * 513, "traceparent has too many characters"),
    ],
)
def test_what_no_worker_would_read_is_refused_here_without_being_repeated(
    client: CeleryClient, sent: list[Any], field: str, value: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        client.execute(INTEGRATION, "get", **{field: value})
    assert "canary" not in str(caught.value)
    assert not sent


@pytest.mark.parametrize(
    ("integration", "given", "key"),
    [
        ("crm", {}, None),
        (TENANT, {}, None),
        (INTEGRATION, {}, "has space"),
        (INTEGRATION, {"body": float("inf")}, None),
    ],
)
def test_a_wrong_execution_is_refused_here(
    client: CeleryClient, sent: list[Any], integration: str, given: dict[str, Any], key: str | None
) -> None:
    with pytest.raises(ValueError, match=r"integration|idempotency_key|JSON"):
        client.execute(integration, "get", given, key)
    assert not sent


def test_a_wrong_tenant_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="tenant"):
        CeleryClient("redis://broker/0", "acme")


def test_the_brokers_password_is_not_shown(client: CeleryClient) -> None:
    assert "canary" not in repr(client) + repr(vars(client))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("unix:///run/valkey.sock?db=3", "redis+socket:///run/valkey.sock?virtual_host=3"),
        ("unix:///run/valkey.sock", "redis+socket:///run/valkey.sock"),
        ("redis+socket:///run/valkey.sock", "redis+socket:///run/valkey.sock"),
    ],
)
def test_a_socket_may_be_spelt_as_redis_py_does(url: str, expected: str) -> None:
    def where(connection: Connection) -> tuple[Any, ...]:
        return connection.transport_cls, connection.hostname, connection.virtual_host

    assert where(_connection(url, "hub:", 1.0)) == where(Connection(expected))


def test_rabbitmq_has_to_confirm() -> None:
    options = _connection("amqp://broker//", "hub:", 1.0).transport_options
    assert options is not None
    assert options["confirm_publish"] is True


def test_the_options_of_an_event_go_along(client: CeleryClient, sent: list[Any]) -> None:
    client.publish(
        "a",
        1,
        labels=("eu",),
        ordering_key="k",
        deliver_at=datetime(2026, 11, 22, tzinfo=UTC),
        expires_at="2026-11-23T00:00:00Z",
    )
    (event,) = sent[0].events
    assert (event.labels, event.ordering_key) == (["eu"], "k")
    assert (event.deliver_at, event.expires_at) == ("2026-11-22T00:00:00+00:00", "2026-11-23T00:00:00Z")
    with pytest.raises(ValueError, match="zone"):
        client.publish("a", 1, deliver_at=datetime(2026, 11, 22))  # noqa: DTZ001
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("name", "absent"),
    [("HttpClient", "kombu"), ("CeleryClient", "requests"), ("VerificationFailed", "requests")],
)
def test_a_client_loads_only_what_it_needs(name: str, absent: str) -> None:
    code = (
        f"import sys; from hub.client import {name};"
        f" loaded = sorted(m for m in sys.modules if m in ('{absent}', 'celery', 'sqlalchemy', 'hub.db', 'hub.core.settings'));"
        " sys.exit(', '.join(loaded) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize("url", ["nonsense", "", "http://broker/", "redis:canary", "redis://[canary"])
def test_a_broker_url_that_is_none_is_a_sentence(url: str) -> None:
    with pytest.raises(
        ValueError, match="broker_url is not a URL that starts with one of redis://"
    ) as caught:
        CeleryClient(url, TENANT)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
