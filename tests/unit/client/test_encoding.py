from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hub.client.encoding import Json, event_to_json, fields_to_json, time_text


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2026, 11, 22, 18, tzinfo=UTC), "2026-11-22T18:00:00+00:00"),
        (
            datetime(2026, 11, 22, 18, 0, 0, 5, timezone(timedelta(hours=2))),
            "2026-11-22T18:00:00.000005+02:00",
        ),
        ("tomorrow", "tomorrow"),
        (None, None),
    ],
    ids=["utc", "offset", "text", "none"],
)
def test_a_moment_becomes_text(at: datetime | str | None, expected: str | None) -> None:
    assert time_text(at) == expected


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        time_text(datetime(2026, 11, 22, 18))  # noqa: DTZ001


@pytest.mark.parametrize("data", [Json("1.0"), {"n": 1.5}], ids=["text", "value"])
def test_the_times_of_an_event_are_written_and_its_data_stays(data: object) -> None:
    event = {"type": "a", "data": data, "deliver_at": datetime(2026, 11, 22, tzinfo=UTC)}
    told = "1.0" if isinstance(data, Json) else '{"n":1.5}'
    assert event_to_json(event) == f'{{"type":"a","data":{told},"deliver_at":"2026-11-22T00:00:00+00:00"}}'


def test_any_field_of_an_object_may_be_text_of_its_own() -> None:
    assert fields_to_json({"data": Json("1.0"), "version": None}) == '{"data":1.0,"version":null}'
    assert fields_to_json({"data": 1.5}) == '{"data":1.5}'
    with pytest.raises(ValueError, match="Expecting"):
        fields_to_json({"data": Json("{")})
