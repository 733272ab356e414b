from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Invalid
from hub.core.ids import Kind, floor_uuid, format_id, new_uuid, parse_id, time_of

milliseconds = st.integers(0, 4_102_444_800_000)  # 1970 to 2100


def test_ids_of_one_process_are_in_order_and_unique() -> None:
    made = [new_uuid() for _ in range(20_000)]  # more than 4,096 in some milliseconds
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_of_many_threads_are_unique_and_each_thread_sees_order() -> None:
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: [new_uuid() for _ in range(3_000)], range(4)))
    assert all(part == sorted(part) for part in parts)
    assert len({one for part in parts for one in part}) == 12_000


def test_ids_do_not_run_backwards_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [new_uuid() for _ in range(10)]
    real = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: real - 3_600_000_000_000)
    after = [new_uuid() for _ in range(10_000)]
    assert before + after == sorted(before + after)


@given(milliseconds)
def test_an_id_is_a_uuid_of_version_7_with_its_time_in_front(ms: int) -> None:
    """RFC 9562, section 5.7."""
    made = new_uuid(ms)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == ms
    assert time_of(made) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


@given(milliseconds)
def test_the_floor_of_a_moment_divides_the_ids_before_from_those_after(ms: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    floor = floor_uuid(at)
    assert floor <= new_uuid(ms)
    assert ms == 0 or new_uuid(ms - 1) < floor
    assert floor_uuid(at + timedelta(microseconds=999)) == floor


def test_a_moment_in_another_zone_has_the_same_floor() -> None:
    at = datetime(2030, 5, 1, 12, tzinfo=UTC)
    assert floor_uuid(at.astimezone(datetime.now().astimezone().tzinfo)) == floor_uuid(at)


@given(st.sampled_from(Kind), st.uuids())
def test_a_public_id_reads_back(kind: Kind, value: UUID) -> None:
    assert parse_id(kind, format_id(kind, value)) == value
    assert format_id(kind, value) == f"{kind.value}_{value.hex}"


@pytest.mark.parametrize(
    "text",
    [
        "", "msg", "msg_", "_" + "0" * 32, "0" * 32,
        "dlv_" + "0" * 32, "MSG_" + "0" * 32,
        "msg_" + "0" * 31, "msg_" + "0" * 33, "msg_" + "0" * 32 + "\n", " msg_" + "0" * 32,
        "msg_" + "g" * 32, "msg_0x" + "0" * 30, "msg_+" + "0" * 31, "msg_-" + "0" * 31, "msg_ " + "0" * 31,
        "msg_" + "0" * 15 + "_" + "0" * 16, "msg_{" + "0" * 30 + "}", "msg_" + "\u0660" * 32,
        "msg_01993f0c-9c7a-7b3a-8d0e-6f0a1b2c3d4e", "msg_\0" + "0" * 31, "msg_' OR 1=1 --",
    ],
)  # fmt: skip
def test_what_is_no_id_of_the_kind_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_id(Kind.MESSAGE, text, field="event_id")
    (fault,) = caught.value.fields
    assert fault.path == "event_id"
    assert "msg_" in fault.message


def test_every_kind_has_its_own_prefix() -> None:
    assert len({kind.value for kind in Kind}) == len(Kind)
    assert all(kind.value.isalpha() and kind.value.islower() for kind in Kind)
