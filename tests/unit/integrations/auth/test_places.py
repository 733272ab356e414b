from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hub.integrations.auth.places import (
    Moment,
    TimestampFormat,
    fill,
    places_of,
    template_fault,
    write_timestamp,
)

NOW = datetime(2026, 1, 2, 4, 4, 5, 678_901, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("unix", "1767323045"),
        ("unix_ms", "1767323045678"),
        ("unix_us", "1767323045678901"),
        ("iso8601", "2026-01-02T03:04:05Z"),
        ("iso8601_ms", "2026-01-02T03:04:05.678Z"),
        ("compact", "20260102T030405Z"),
        ("http_date", "Fri, 02 Jan 2026 03:04:05 GMT"),
    ],
)
def test_a_time_is_written_in_utc(form: TimestampFormat, text: str) -> None:
    assert write_timestamp(NOW, form) == text


def test_places_are_filled_and_the_rest_stays() -> None:
    template = "{{a}}-{{ b }} { } %s {{ b}}\n"
    assert places_of(template) == ("a", "b", "b")
    assert fill(template, {"a": lambda: b"\xff", "b": lambda: "é"}) == b"\xff-\xc3\xa9 { } %s \xc3\xa9\n"


def test_what_is_filled_in_is_no_template() -> None:
    assert fill("{{ a }}", {"a": lambda: "{{ b }}"}) == b"{{ b }}"


@pytest.mark.parametrize("template", ["{{", "}}", "{{ a b }}", "{{}}", "{{ a }", "{{{ {{ a }}", "{{ a }} }}"])
def test_braces_that_make_no_place_are_refused(template: str) -> None:
    assert "makes no place" in (template_fault(template, {"a"}) or "")


def test_an_unknown_place_is_refused_with_those_that_there_are() -> None:
    assert template_fault("{{ a }}{{ header.x-y }}", {"a", "header."}) is None
    assert template_fault("{{ c }}", {"a", "header."}) == (
        "has the place c, which is unknown; there are a, header.NAME"
    )


def test_a_moment_is_the_same_in_all_templates_and_new_in_every_request() -> None:
    one = Moment(datetime(1970, 1, 1, tzinfo=UTC), "n", "u").values("unix")
    assert fill("{{ timestamp }} {{ nonce }} {{ uuid }}", one) == b"0 n u"
    assert Moment.present().nonce != Moment.present().nonce
    assert Moment.present().uuid != Moment.present().uuid
