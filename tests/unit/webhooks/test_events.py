from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Invalid, Malformed
from hub.webhooks.events import MAX_EVENTS, make_event, read_events

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
