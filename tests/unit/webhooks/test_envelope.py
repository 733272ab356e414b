from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from hub.webhooks.envelope import Envelope, batch_body, body_of, timestamp_of

AT = datetime(2030, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
MESSAGE = UUID("0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000")


def row(**fields: Any) -> Any:
    plain = {"id": MESSAGE, "event_id": None, "source": "http", "type": "a.b", "data": "{}", "created_at": AT}
    return cast("Any", SimpleNamespace(**plain | fields))


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (AT, "2030-01-02T03:04:05.678901Z"),
        (AT.replace(microsecond=0), "2030-01-02T03:04:05.000000Z"),
        (AT.astimezone(timezone(timedelta(hours=5, minutes=30))), "2030-01-02T03:04:05.678901Z"),
        (AT.astimezone(timezone(timedelta(hours=-8))), "2030-01-02T03:04:05.678901Z"),
    ],
    ids=["utc", "whole second", "east", "west"],
)
def test_a_timestamp_is_utc_with_microseconds(at: datetime, text: str) -> None:
    assert timestamp_of(at) == text


def test_data_goes_out_byte_for_byte() -> None:
    data = '{"z": 1,  "a": 123456789012345678901234567890, "é": "\\u00e9 🐘"}'
    body = body_of("a.b", "2030-01-02T03:04:05Z", data)
    assert body == b'{"type":"a.b","timestamp":"2030-01-02T03:04:05Z","data":' + data.encode() + b"}"
    assert list(json.loads(body)) == ["type", "timestamp", "data"]


def test_the_webhook_id_is_the_publishers_or_else_the_messages() -> None:
    assert Envelope.of(row(event_id="inv-1")).webhook_id == "inv-1"
    assert Envelope.of(row()).webhook_id == f"msg_{MESSAGE.hex}"


def test_one_message_makes_the_same_bytes_every_time() -> None:
    first, again = Envelope.of(row(data='{"n": 1}')), Envelope.of(row(data='{"n": 1}'))
    assert first.body == again.body
    assert first.document() == {"type": "a.b", "timestamp": timestamp_of(AT), "data": {"n": 1}}


def test_a_batch_is_a_list_of_events_with_their_own_ids() -> None:
    bodies = [Envelope.of(row(data=data)).body for data in ('{"n": 1.10}', "null")]
    batch = batch_body([("one", bodies[0]), ("two", bodies[1])])
    assert [list(item) for item in json.loads(batch)] == [["id", "type", "timestamp", "data"]] * 2
    assert [item["id"] for item in json.loads(batch)] == ["one", "two"]
    assert b'"data":{"n": 1.10}}' in batch


def test_a_batch_of_one_is_a_list_too() -> None:
    assert json.loads(batch_body([("one", b'{"a":1}')])) == [{"id": "one", "a": 1}]


@pytest.mark.parametrize(
    ("body", "item"),
    [
        (b"{}", {"id": "one"}),
        (b"[1,2]", {"id": "one", "data": [1, 2]}),
        (b'"text"', {"id": "one", "data": "text"}),
        (b"null", {"id": "one", "data": None}),
    ],
    ids=["empty", "list", "text", "null"],
)
def test_a_body_that_a_transformation_made_is_an_item_whatever_it_is(body: bytes, item: Any) -> None:
    assert json.loads(batch_body([("one", body), ("two", b'{"a":1}')])) == [item, {"id": "two", "a": 1}]
