from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import requests
from sqlalchemy import Connection, Engine, text

from hub.access.authenticator import Authenticator
from hub.access.scopes import Scope
from hub.access.store import Tenant, revoke_key
from hub.api.app import create_app
from hub.client import HttpClient, HubApiError, Json
from hub.client.streaming import EventStream, StreamedEvent
from hub.core.ids import Kind, format_id
from hub.db.engine import make_engine
from hub.web.services import Services
from hub.webhooks.envelope import Envelope
from hub.webhooks.events import make_event
from hub.webhooks.publishing import Publication, write
from hub.webhooks.streaming import response, store
from tests.integration.api.conftest import RunningHub, serving
from tests.support.waiting import until


@pytest.fixture
def client(hub: RunningHub) -> Iterator[HttpClient]:
    with HttpClient(hub.url, hub.admin_key) as made:
        yield made


def take(stream: EventStream, count: int) -> list[StreamedEvent]:
    """The next events; the test's own time limit ends a wait in vain."""
    return [next(stream) for _ in range(count)]


def publish_in(conn: Connection, tenant: Tenant, event_type: str, data: str = "1") -> str:
    """Through the SQL door, in a transaction of the test's own."""
    made: str = conn.execute(
        text("SELECT hub.publish_event(:tenant, :type, CAST(:data AS json))"),
        {"tenant": format_id(Kind.TENANT, tenant.id), "type": event_type, "data": data},
    ).scalar_one()
    return made


def publish_as_hub(engine: Engine, tenant: Tenant, event_type: str) -> None:
    with engine.begin() as conn:
        write(conn, [Publication(tenant.id, [make_event(event_type, "{}", None)], "hub")])


def in_use(hub: RunningHub) -> int:
    open_: int = hub.app.state.streams._open.total()
    return open_


def test_an_event_that_is_published_after_the_connection_is_shown_as_it_is_delivered(
    hub: RunningHub, client: HttpClient, engine: Engine
) -> None:
    client.publish("invoice.paid", "before")
    with client.stream_events() as stream:
        receipt = client.publish(
            "invoice.paid", Json('{"z": 1.00, "n": 123456789012345678901234567890}'), id="mine"
        )
        (event,) = take(stream, 1)
    with engine.connect() as conn:
        row = conn.execute(text("SELECT * FROM hub.message WHERE event_id = 'mine'")).one()
    assert event.body == Envelope.of(row).body
    assert (event.message_id, event.id, event.type) == (receipt["id"], "mine", "invoice.paid")
    assert event.data["n"] == 123456789012345678901234567890


def test_line_ends_within_the_data_survive(client: HttpClient) -> None:
    data = '{\r\n "a": [1,\r 2,\n\n 3]\r\n}'
    with client.stream_events() as stream:
        client.publish("a", Json(data))
        (event,) = take(stream, 1)
    assert event.body.endswith(b'"data":' + data.encode() + b"}")


def test_types_labels_and_kind_choose(hub: RunningHub, client: HttpClient, engine: Engine) -> None:
    with ExitStack() as stack:
        by_type = stack.enter_context(client.stream_events(types=["invoice.*", "order.paid"]))
        by_label = stack.enter_context(client.stream_events(labels=["eu", "us"]))
        events_only = stack.enter_context(client.stream_events(kind="events"))
        operations = stack.enter_context(client.stream_events(kind="operations"))
        publish_as_hub(engine, hub.tenant, "endpoint.disabled")
        client.publish_many(
            [
                {"type": "invoice.paid", "data": 1, "labels": ["eu", "test"]},
                {"type": "order.made", "data": 2, "labels": ["test"]},
                {"type": "order.paid", "data": 3, "labels": ["us"]},
                {"type": "invoices", "data": 4},
                {"type": "invoice.last", "data": 5, "labels": ["us"]},
            ]
        )
        assert [event.data for event in take(by_type, 3)] == [1, 3, 5]
        assert [event.data for event in take(by_label, 3)] == [1, 3, 5]
        assert [event.data for event in take(events_only, 5)] == [1, 2, 3, 4, 5]
        assert [event.type for event in take(operations, 1)] == ["endpoint.disabled"]


def test_another_tenants_events_are_never_shown_and_cannot_be_resumed_after(
    hub: RunningHub, client: HttpClient
) -> None:
    other = hub.new_tenant("other")
    key, _ = hub.key(Scope.ADMIN, tenant=other)
    with HttpClient(hub.url, key) as stranger, client.stream_events() as stream:
        foreign = stranger.publish("a", "secret of other")
        client.publish("a", "ours")
        assert [event.data for event in take(stream, 1)] == ["ours"]
        beginning = format_id(Kind.MESSAGE, UUID(int=0))
        with (
            client.stream_events(after=foreign["id"]) as resumed,
            stranger.stream_events(after=beginning) as theirs,
        ):
            assert [event.data for event in take(resumed, 1)] == ["ours"]
            assert [event.data for event in take(theirs, 1)] == ["secret of other"]


def test_a_key_without_the_scope_and_no_key_are_refused(hub: RunningHub) -> None:
    key, _ = hub.key(Scope.EVENTS_WRITE)
    assert hub.call("GET", "/v1/events/stream", key=key).status_code == 403
    assert hub.call("GET", "/v1/events/stream", key=None).status_code == 401


@pytest.mark.parametrize(
    ("query", "headers", "field"),
    [
        ({"types": "invoice.*,in voice"}, {}, "query.types"),
        ({"types": ",".join(["a"] * 101)}, {}, "query.types"),
        ({"labels": "good,not good"}, {}, "query.labels"),
        ({"kind": "all"}, {}, "query.kind"),
        ({"after": "evt_1"}, {}, "query.after"),
        ({}, {"Last-Event-ID": "7"}, "header.Last-Event-ID"),
    ],
    ids=["pattern", "too many", "label", "kind", "after", "header"],
)
def test_bad_input_is_refused_by_name(
    hub: RunningHub, query: dict[str, str], headers: dict[str, str], field: str
) -> None:
    answer = hub.call("GET", "/v1/events/stream", params=query, headers=headers)
    assert answer.status_code == 422
    assert [one["path"] for one in answer.json()["errors"]] == [field]


def test_an_event_with_a_lower_id_that_is_committed_later_is_shown(
    hub: RunningHub, client: HttpClient, engine: Engine
) -> None:
    with client.stream_events() as stream, engine.connect() as slow, engine.connect() as fast:
        lower = publish_in(slow, hub.tenant, "slow")
        higher = publish_in(fast, hub.tenant, "fast")
        assert lower < higher
        fast.commit()
        assert [event.message_id for event in take(stream, 1)] == [higher]
        slow.commit()
        assert [event.message_id for event in take(stream, 1)] == [lower]
        # And neither comes again.
        last = client.publish("last", 1)
        assert [event.message_id for event in take(stream, 1)] == [last["id"]]


def test_what_is_rolled_back_is_not_shown(hub: RunningHub, client: HttpClient, engine: Engine) -> None:
    with client.stream_events() as stream, engine.connect() as conn:
        publish_in(conn, hub.tenant, "undone")
        conn.rollback()
        client.publish("done", 1)
        assert [event.type for event in take(stream, 1)] == ["done"]


def test_a_stream_is_resumed_after_an_event_by_parameter_or_header(
    hub: RunningHub, client: HttpClient
) -> None:
    old = client.publish("a", 0)
    batches = [range(start, start + 250) for start in range(1, 2501, 250)]
    receipts = [
        receipt
        for batch in batches
        for receipt in client.publish_many([{"type": "a", "data": n} for n in batch])
    ]
    with client.stream_events(after=old["id"]) as stream:
        # It begins some seconds before its place.
        assert [event.data for event in take(stream, 2501)] == list(range(2501))
    place = {"Last-Event-ID": receipts[-1]["id"]}
    with requests.get(
        f"{hub.url}/v1/events/stream",
        params={"after": "msg_" + "f" * 32},
        headers={"Authorization": f"Bearer {hub.admin_key}", **place},
        stream=True,
        timeout=10,
    ) as answer:
        lines = answer.iter_lines(decode_unicode=True)
        assert next(line for line in lines if line.startswith("event:")) == "event: a"


def test_two_connections_in_a_row_show_every_event_once(hub: RunningHub, client: HttpClient) -> None:
    told: list[str] = []
    with client.stream_events(notify=told.append) as stream:
        first = client.publish("a", 1)
        assert take(stream, 1)[0].message_id == first["id"]
        assert stream._answer is not None
        stream._answer.close()
        second = client.publish("a", 2)
        assert take(stream, 1)[0].message_id == second["id"]
        third = client.publish("a", 3)
        assert take(stream, 1)[0].message_id == third["id"]
    assert [text.split(" ")[0] for text in told] == ["The", "Connected"]


def test_the_eleventh_stream_of_a_tenant_is_refused_until_one_is_closed(
    hub: RunningHub, client: HttpClient
) -> None:
    other = hub.new_tenant("other")
    key, _ = hub.key(Scope.EVENTS_READ, tenant=other)
    with ExitStack() as stack, HttpClient(hub.url, hub.admin_key, retries=0) as impatient:
        streams = [stack.enter_context(client.stream_events()) for _ in range(response.MAX_PER_TENANT)]
        with pytest.raises(HubApiError) as caught:
            impatient.stream_events()
        assert (caught.value.status, caught.value.code) == (429, "too_many_streams")
        with HttpClient(hub.url, key) as stranger, stranger.stream_events():
            pass
        streams[0].close()
        until(lambda: in_use(hub) < response.MAX_PER_TENANT, what="a free place")
        stack.enter_context(impatient.stream_events())


def test_a_client_that_goes_away_leaves_nothing_behind(hub: RunningHub, client: HttpClient) -> None:
    stream = client.stream_events()
    assert in_use(hub) == 1
    stream.close()
    until(lambda: in_use(hub) == 0, what="no open stream")


def test_a_server_that_shuts_down_ends_streams_at_once_and_in_good_order(
    services: Services, hub: RunningHub
) -> None:
    with serving(create_app(services), services.settings) as url:
        answer = requests.get(
            f"{url}/v1/events/stream",
            headers={"Authorization": f"Bearer {hub.admin_key}"},
            stream=True,
            timeout=10,
        )
        ended = threading.Event()
        whole: list[bytes] = []

        def read() -> None:
            # A body that is cut off raises.
            whole.append(answer.content)
            ended.set()

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        assert not ended.is_set()
    # The server gives requests in flight four seconds before it cuts them off.
    assert ended.wait(10)
    assert whole[0].startswith(b"retry: ")


def test_a_stream_ends_when_its_key_is_revoked(
    hub: RunningHub, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "HEARTBEAT_SECONDS", 0.2)
    key, key_id = hub.key(Scope.EVENTS_READ)
    with HttpClient(hub.url, key) as client, client.stream_events() as stream:
        with engine.begin() as conn:
            revoke_key(conn, hub.tenant.id, UUID(key_id))
        with pytest.raises(HubApiError) as caught:
            next(stream)
        assert caught.value.status == 401


def test_heartbeats_come_and_move_the_place_to_resume_from(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "HEARTBEAT_SECONDS", 0.1)
    with requests.get(
        f"{hub.url}/v1/events/stream",
        headers={"Authorization": f"Bearer {hub.admin_key}"},
        stream=True,
        timeout=10,
    ) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        lines = answer.iter_lines(decode_unicode=True)
        seen = [next(lines) for _ in range(10)]
    assert seen[0].startswith("retry: ")
    assert seen.count(": still here") >= 2


def test_streams_hold_no_connection_between_polls(
    services: Services, database_url: str, hub: RunningHub
) -> None:
    engine = make_engine(database_url, pool_size=1)
    # One connection, and not one more on a burst.
    engine.pool._max_overflow = 0  # type: ignore[attr-defined]
    small = replace(services, engine=engine, authenticator=Authenticator(engine))
    try:
        with serving(create_app(small), services.settings) as url, ExitStack() as stack:
            client = stack.enter_context(HttpClient(url, hub.admin_key, retries=0))
            streams = [stack.enter_context(client.stream_events()) for _ in range(8)]
            for n in range(20):
                client.publish("a", n)
                assert client.list_events(limit=1)["data"]
            for stream in streams:
                assert [event.data for event in take(stream, 20)] == list(range(20))
    finally:
        engine.dispose()


def test_both_queries_of_a_stream_use_indexes(hub: RunningHub, client: HttpClient, engine: Engine) -> None:
    ids = [client.publish("a", n)["id"] for n in range(3)]
    statements: list[Any] = []

    class Recorder:
        def execute(self, statement: Any) -> Any:
            statements.append(statement)
            return self

        def all(self) -> list[Any]:
            return []

    keys = [UUID(one.removeprefix("msg_")) for one in ids]
    store.list_heads(Recorder(), hub.tenant.id, after=keys[0], limit=10)  # type: ignore[arg-type]
    store.load_bodies(Recorder(), hub.tenant.id, ids=keys)  # type: ignore[arg-type]
    plans = []
    with engine.connect() as conn:
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        for statement in statements:
            compiled = statement.compile(engine, compile_kwargs={"render_postcompile": True})
            plan = conn.exec_driver_sql("EXPLAIN " + str(compiled), compiled.params).scalars().all()
            plans.append("\n".join(plan))
    heads, bodies = plans
    assert "tenant_id_id_idx" in heads
    assert "Sort" not in heads
    assert "Seq Scan" not in heads + bodies
    assert "Index Cond: " in bodies


def test_publishers_in_parallel_are_all_seen(client: HttpClient) -> None:
    with client.stream_events() as stream, ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(lambda n: client.publish("a", n), range(200)))
        seen = take(stream, 200)
    assert {event.message_id for event in seen} == {receipt["id"] for receipt in receipts}
