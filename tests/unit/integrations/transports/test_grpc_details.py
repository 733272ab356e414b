"""Details of a gRPC error that a service sends badly, or not at all."""

from __future__ import annotations

import json

import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from hub.integrations.transports.grpc_calls.calls import Reply
from hub.integrations.transports.grpc_calls.verdicts import error_of, headers_of


def failed(raw: bytes | str, *trailing: tuple[str, str]) -> Reply:
    return Reply(
        code=14, name="UNAVAILABLE", details="no", trailing=(("grpc-status-details-bin", raw), *trailing)
    )


def with_details(*messages: object) -> bytes:
    status = Status(code=14)
    for message in messages:
        status.details.add().Pack(message)
    return bytes(status.SerializeToString())


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xff", "text", b"\x1a\x05\x0a"], ids=["empty", "garbage", "text", "cut off"]
)
def test_what_is_no_status_leaves_the_error_as_it_is(raw: bytes | str) -> None:
    assert error_of(failed(raw)) == {"code": 14, "status": "UNAVAILABLE", "message": "no"}
    assert "retry-after" not in headers_of(failed(raw))


def test_a_detail_that_is_not_of_its_type_is_shown_as_it_came() -> None:
    broken = Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    raw = Status(details=[broken, broken]).SerializeToString() + with_details(ErrorInfo(reason="WHY"))
    assert error_of(failed(raw))["details"] == [
        *[{"@type": broken.type_url, "value": "/w=="}] * 2,
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "WHY"},
    ]
    wrong = Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\xff")
    assert "retry-after" not in headers_of(failed(Status(details=[wrong]).SerializeToString()))


def test_many_details_and_deep_ones_are_bounded() -> None:
    many = with_details(*[ErrorInfo(reason="A")] * 300)
    assert len(error_of(failed(many))["details"]) == 50
    inner = Any(type_url="type.googleapis.com/no.Such")
    for _ in range(2000):
        outer = Any()
        outer.Pack(inner)
        inner = outer
    (shown,) = error_of(failed(Status(details=[inner]).SerializeToString()))["details"]
    assert json.dumps(shown).count("@type") == 1


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (Duration(seconds=3), "3"),
        (Duration(nanos=1), "1"),
        (Duration(), "0"),
        (Duration(seconds=-1), None),
        (Duration(seconds=10**11), None),
        (None, None),
    ],
)
def test_a_wait_in_details_is_one_in_seconds(delay: Duration | None, expected: str | None) -> None:
    raw = with_details(ErrorInfo(), RetryInfo(retry_delay=delay))
    assert headers_of(failed(raw)).get("retry-after") == expected
    assert headers_of(failed(raw, ("grpc-retry-pushback-ms", "7000")))["retry-after"] == "7"
