from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Invalid, Malformed
from hub.webhooks.events import MAX_EVENTS, Event, make_event, parse_time, refuse
from hub.webhooks.events import read_events as judge_events

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def read_events(raw: bytes) -> tuple[list[Event], bool]:
    """All of them, or the error of those that are not acceptable."""
    events, is_list = judge_events(raw, NOW)
    refuse(event for event in events if isinstance(event, Invalid))
    return [event for event in events if isinstance(event, Event)], is_list


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_one_event_and_a_list_are_told_apart() -> None:
    (one,), is_list = read_events(b' {"type":"a.b","data":1}')
    assert (one.type, one.data, one.event_id, is_list) == ("a.b", "1", None, False)
    events, is_list = read_events(b'\n[{"type":"a","data":1,"id":"x"},{"type":"b","data":null}]')
    assert ([(e.type, e.data, e.event_id) for e in events], is_list) == (
        [("a", "1", "x"), ("b", "null", None)],
        True,
    )
    assert events[0].row_id < events[1].row_id


def test_of_a_list_each_event_that_is_none_is_told_and_the_others_are_read() -> None:
    raw = b'[{"type":"a","data":1},{"data":1},7,{"type":"a","data":1,"labels":["x",2]},{"type":"a","data":1,"x":1}]'
    events, is_list = judge_events(raw, NOW)
    assert is_list
    assert isinstance(events[0], Event)
    faults = [event for event in events[1:] if isinstance(event, Invalid)]
    assert [fault.fields[0].path for fault in faults] == ["1", "2", "3.labels.1", "4"]
    assert "`type`" in faults[0].fields[0].message


def test_a_list_of_half_a_million_faults_is_one_fault() -> None:
    with pytest.raises(Invalid) as caught:
        judge_events(b"[" + b",".join([b"1"] * 500_000) + b"]", NOW)
    (field,) = caught.value.fields
    assert field.message == f"must hold 1 to {MAX_EVENTS} events, not 500000"


@pytest.mark.parametrize(
    "data",
    [
        '{"z":1,"a":2}', "123456789012345678901234567890", "1.10", "1e400", '"\\u00e9\\n"', '"é 🐘"', '{ "a" : [ 1 , 2 ] }',
        "null", '""', "[]", '{"a":"}"}', '{"data":{"data":1}}',
    ],
)  # fmt: skip
def test_data_is_kept_byte_for_byte(data: str) -> None:
    for raw in (f'{{"data": {data} ,"type":"a"}}', f'{{"type":"a","id":"x","data":{data}}}'):
        (event,), _ = read_events(raw.encode())
        assert event.data == data


@given(json_values, st.booleans())
def test_any_json_is_data(value: object, ascii_only: bool) -> None:
    try:
        text = json.dumps(value, ensure_ascii=ascii_only)
        raw = f'[{{"type":"a","data":{text}}}]'.encode()
    except UnicodeEncodeError:  # a lone surrogate; the door refuses it before
        return
    (event,), _ = read_events(raw)
    assert event.data == text


@pytest.mark.parametrize(
    ("raw", "paths"),
    [
        (b"1", [""]),
        (b'"x"', [""]),
        (b"null", [""]),
        (b"{}", [""]),
        (b"[]", [""]),
        (b"[1]", ["0"]),
        (b'[{"type":"a","data":1},[]]', ["1"]),
        (b'{"type":"a"}', [""]),
        (b'{"data":1}', [""]),
        (b'{"type":1,"data":1}', ["type"]),
        (b'{"type":null,"data":1}', ["type"]),
        (b'{"type":"a","data":1,"id":7}', ["id"]),
        (b'[{"type":"a","data":1},{"type":"a","data":1,"id":[]}]', ["1.id"]),
        (b'{"type":"a","data":1,"extra":1}', [""]),
        (b'[{"type":"a","data":1},{"type":"a","data":1,"extra":1}]', ["1"]),
        (b'{"type":"a b","data":1}', ["type"]),
        (b'{"type":"","data":1}', ["type"]),
        (b'{"type":"a","data":1,"id":""}', ["id"]),
        (b'{"type":"a","data":1,"id":"a.b"}', ["id"]),
        (b'{"type":"a","data":1,"id":"' + b"x" * 129 + b'"}', ["id"]),
        (b'{"type":"a","data":1,"id":"a\\n"}', ["id"]),
        # What can be told of all events at once is told at once.
        (
            b'[{"type":"","data":1},{"type":"a","data":1},{"type":"b..","data":1,"id":"x"}]',
            ["0.type", "2.type"],
        ),
        (b"[" + b",".join([b'{"type":"a","data":1}'] * (MAX_EVENTS + 1)) + b"]", [""]),
    ],
)
def test_bad_input_is_refused_with_the_path_of_the_field(raw: bytes, paths: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        read_events(raw)
    assert [fault.path for fault in caught.value.fields] == paths
    assert caught.value.status == 422
    assert all(fault.message for fault in caught.value.fields)


def test_an_unknown_or_missing_field_is_named_in_the_message() -> None:
    for raw, name in (
        (b'{"type":"a","data":1,"extra":1}', "extra"),
        (b'{"type":"a"}', "data"),
        (b'{"data":1}', "type"),
    ):
        with pytest.raises(Invalid, match=name):
            read_events(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[", b'{"type":"a","data":}', b'{"type":"a","data":1}x', b"\xff"]
)
def test_what_is_no_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_events(raw)


def test_as_many_events_as_allowed_are_read() -> None:
    events, _ = read_events(b"[" + b",".join([b'{"type":"a","data":1}'] * MAX_EVENTS) + b"]")
    assert len(events) == len({event.row_id for event in events}) == MAX_EVENTS


def test_a_hundred_faults_are_told_as_fifty() -> None:
    with pytest.raises(Invalid) as caught:
        read_events(b"[" + b",".join([b'{"type":"","data":1}'] * 100) + b"]")
    assert len(caught.value.fields) == 50
    assert len(caught.value.detail) < 1_000


@pytest.mark.parametrize("event_id", ["a", "A_z:9-", "x" * 128])
def test_ids_of_publishers(event_id: str) -> None:
    assert make_event("a", "1", event_id).event_id == event_id


def test_an_event_that_is_not_acceptable_leaves_the_others_as_they_are() -> None:
    events, _ = judge_events(
        b'[{"type":"a","data":1},{"type":"no type!","data":2},{"type":"b","data":3}]', NOW
    )
    assert [isinstance(event, Event) for event in events] == [True, False, True]
    assert isinstance(events[1], Invalid)
    assert [field.path for field in events[1].fields] == ["1.type"]


def test_options_are_read() -> None:
    raw = (
        b'{"type":"a","data":1,"labels":["eu","eu","customer:7"],"ordering_key":"cus_7",'
        b'"deliver_at":"2026-11-22T15:00:00+02:00","expires_at":"2026-11-23T00:00:00Z"}'
    )
    (event,), _ = read_events(raw)
    assert event.options.labels == ("eu", "customer:7")
    assert event.options.ordering_key == "cus_7"
    assert event.options.deliver_at == NOW + timedelta(hours=1)
    assert event.options.expires_at == datetime(2026, 11, 23, tzinfo=UTC)


def test_a_moment_that_is_past_means_now() -> None:
    (event,), _ = read_events(b'{"type":"a","data":1,"deliver_at":"2020-01-01T00:00:00Z"}')
    assert event.options.deliver_at is None


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ('"labels":["a b"]', ["0.labels.0"]),
        ('"labels":[""]', ["0.labels.0"]),
        ('"labels":[' + ",".join(['"a"'] * 21) + "]", ["0.labels"]),
        ('"ordering_key":"a b"', ["0.ordering_key"]),
        ('"deliver_at":"tomorrow"', ["0.deliver_at"]),
        ('"deliver_at":"2026-11-23"', ["0.deliver_at"]),
        ('"deliver_at":"2026-11-23T00:00:00"', ["0.deliver_at"]),
        ('"deliver_at":"2028-01-01T00:00:00Z"', ["0.deliver_at"]),
        ('"expires_at":"2026-11-22T11:00:00Z"', ["0.expires_at"]),
        ('"deliver_at":"2026-11-25T00:00:00Z","expires_at":"2026-11-24T00:00:00Z"', ["0.expires_at"]),
        (
            '"labels":["é"],"ordering_key":"","expires_at":"2020-01-01T00:00:00Z"',
            ["0.labels.0", "0.ordering_key", "0.expires_at"],
        ),
    ],
)
def test_options_that_are_not_acceptable_are_named(options: str, paths: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        read_events(f'[{{"type":"a","data":1,{options}}}]'.encode())
    assert [field.path for field in caught.value.fields] == paths


@given(st.text())
def test_no_text_breaks_the_reading_of_a_time(text: str) -> None:
    try:
        at = parse_time(text, field="deliver_at")
    except Invalid:
        return
    assert at is not None
    assert at.tzinfo is not None
