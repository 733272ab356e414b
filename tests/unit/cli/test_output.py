from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from sqlalchemy.exc import OperationalError

from hub.cli.arguments import read_json
from hub.cli.failures import sentence_of, tell
from hub.cli.output import moment, show_found, show_page, show_table, shown
from hub.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from hub.cli.output import Columns

_CONTEXT = click.Context(click.Command("x"))
_PARAMETER = click.Option(["--x"])


def given(text: str) -> str | None:
    return read_json(_CONTEXT, _PARAMETER, text)


def test_json_is_kept_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text('\n{"b": 1.00,  "a": "ü"}\n', encoding="utf-8")
    assert given('{"b":1.00}') == '{"b":1.00}'
    assert given(f"@{file}") == '{"b": 1.00,  "a": "ü"}'
    assert read_json(_CONTEXT, _PARAMETER, None) is None


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "hello", "@/nowhere/at/all", "[" * 100_000])
def test_what_is_not_json_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.BadParameter):
        given(text)


def test_a_file_that_is_not_utf8_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    with pytest.raises(click.BadParameter, match="UTF-8"):
        given(f"@{tmp_path / 'x'}")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (1.26, "1.3"),
        (3, "3"),
        ("x", "x"),
        ({"a": [1]}, '{"a": [1]}'),
    ],
)
def test_values_are_shown_as_people_read_them(value: object, text: str) -> None:
    assert shown(value) == text


def test_times_are_shown_to_the_second() -> None:
    assert moment("2026-11-22T10:00:00.123456Z") == "2026-11-22 10:00:00"
    assert moment(None) == "-"


def test_free_text_is_no_formatting_and_a_pipe_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("id", "message"), [("dlv_" + "0" * 32, "[red]:smile: " + "word " * 10)])
    out = capsys.readouterr().out
    assert "dlv_" + "0" * 32 in out
    assert "[red]:smile:" in out
    assert out.count("word") == 10


def test_the_next_page_is_told_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    page = {"data": [{"n": 1, "made_at": "2026-11-22T10:00:00.1Z"}], "next_cursor": "abc"}
    columns: Columns = {"twice": lambda row: 2 * row["n"], "made": "made_at"}
    show_page(page, columns, as_json=False)
    captured = capsys.readouterr()
    assert captured.err == "There is more: --cursor abc\n"
    assert all(text in captured.out for text in ("twice", " 2 ", "2026-11-22 10:00:00 "))
    show_page(page, columns, as_json=True)
    captured = capsys.readouterr()
    assert (json.loads(captured.out), captured.err) == (page, "")


def test_one_thing_is_json_a_line_or_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json, line, out in ((True, "x", '{"a": null}'), (False, "x", "x"), (False, None, "a  -")):
        show_found({"a": None}, as_json=as_json, line=line)
        assert capsys.readouterr().out.strip() == out


def test_an_error_names_each_field_once(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Invalid("type: is wrong.", fields=(FieldError("type", "is wrong"), FieldError("", "is too long"))))
    assert capsys.readouterr().err == "hub: type: is wrong.\n  the input: is too long\n"


def test_an_unexpected_error_is_one_line_without_secrets() -> None:
    driver = OSError("connection to postgresql://u:canary@db failed\nand more")
    database = OperationalError("SELECT canary", {"x": "canary"}, driver)
    assert sentence_of(database) == "The database said: connection to postgresql://u:***@db failed"
    assert sentence_of(ValueError("")) == "ValueError: no explanation"
