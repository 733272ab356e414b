from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from hub.client.sse import Frame, Parser
from hub.client.streaming import _event
from hub.webhooks.envelope import Envelope
from hub.webhooks.streaming.frames import event_frame, heartbeat, opening

ID = UUID("01993f0c9c7a7b3a8d0e6f0a1b2c3d4e")


def row(data: str, event_id: str | None = None) -> Any:
    return SimpleNamespace(
        id=ID,
        event_id=event_id,
        source="http",
        traceparent=None,
        type="invoice.paid",
        data=data,
        created_at=datetime(2026, 11, 22, 18, tzinfo=UTC),
    )


def test_a_frame_is_what_the_format_says() -> None:
    assert event_frame(row('{"a": 1}', "mine")).decode() == (
        "id: msg_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e\n"
        "event: invoice.paid\n"
        'data: {"id":"mine","traceparent":"00-01993f0c9c7a7b3a8d0e6f0a1b2c3d4e-8d0e6f0a1b2c3d4e-01",'
        '"type":"invoice.paid","timestamp":"2026-11-22T18:00:00.000000Z","data":{"a": 1}}\n\n'
    )


@pytest.mark.parametrize(
    "data",
    [
        "1.0",
        '{\n  "a": 123456789012345678901234567890,\n\n  "b": "Grüße ✓ \u2028"\n}',
        '{\r\n  "a": 1\r\n}',
        "[1,\r2,\n\r3]\r",
        '" data: x"',
    ],
    ids=["number", "line feeds", "carriage returns and line feeds", "carriage returns", "like a field"],
)
def test_the_body_of_a_delivery_comes_out_byte_for_byte(data: str) -> None:
    original = row(data)
    (frame,) = Parser().feed(event_frame(original))
    assert frame.id is not None
    assert frame.data is not None
    event = _event(frame.id, frame.data)
    assert event.body == Envelope.of(original).body
    assert event.data == json.loads(data)
    assert event.traceparent == f"00-{ID.hex}-{ID.hex[16:]}-01"
    assert (event.message_id, event.id) == (f"msg_{ID.hex}", f"msg_{ID.hex}")


def test_what_is_no_event_moves_the_place_alone() -> None:
    for written in (opening(ID), heartbeat(ID)):
        assert Parser().feed(written) == [Frame(f"msg_{ID.hex}", None)]
