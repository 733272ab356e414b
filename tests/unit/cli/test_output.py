from __future__ import annotations

import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from rich.console import Console
from sqlalchemy.exc import OperationalError

from hub.cli import output
from hub.cli.arguments import read_json
from hub.cli.failures import sentence_of, tell
from hub.cli.output import moment, show_found, show_page, show_record, show_table, shown
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


DELIVERY: dict[str, object] = {
    "id": "dlv_" + "0" * 32,
    "event": "msg_" + "1" * 32,
    "endpoint": "ep_" + "2" * 32,
    "state": "failed",
    "reason": None,
    "attempts": 11,
    "created": "2026-11-22 10:00:00",
}


def on_a_terminal(width: int, *tables: tuple[Sequence[str], list[list[object]]]) -> list[str]:
    screen = StringIO()
    with pytest.MonkeyPatch.context() as patch:
        made = Console(file=screen, width=width, force_terminal=True, color_system=None, markup=False)
        patch.setattr(output, "console", lambda: made)
        for names, rows in tables:
            show_table(names, rows)
    return screen.getvalue().splitlines()


def test_a_row_that_does_not_fit_the_terminal_becomes_lines_with_whole_ids() -> None:
    lines = on_a_terminal(80, (list(DELIVERY), [[*DELIVERY.values()]]))
    assert lines == [
        DELIVERY["id"],
        f"  event: {DELIVERY['event']}",
        f"  endpoint: {DELIVERY['endpoint']}  state: failed  attempts: 11",
        "  created: 2026-11-22 10:00:00",
    ]


@pytest.mark.parametrize("width", [20, 40, 80, 100, 120, 160, 200])
def test_at_no_width_anything_is_cut_or_broken(width: int) -> None:
    row = [*DELIVERY.values(), "it was refused by whoever listens there"]
    lines = on_a_terminal(width, ([*DELIVERY, "message"], [row]))
    assert all(any(str(value) in line for line in lines) for value in row[:5] if value is not None)
    words = " ".join(lines).split()
    assert all(word in words for word in str(row[-1]).split())
    if width > 60:
        assert max(map(len, lines)) <= width


def test_what_fits_is_a_table_whose_text_is_broken_between_words() -> None:
    text = "one two three four five six seven eight nine ten"
    lines = on_a_terminal(60, (("id", "text"), [["ep_" + "0" * 20, text]]))
    assert len(lines) > 5
    assert {len(line) for line in lines} <= set(range(61))
    assert all(any(word in line for line in lines) for word in text.split())


def test_a_pipe_gets_a_table_however_wide(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("id", "url", "name"), [("ep_" + "0" * 32, "https://example.com/" + "a" * 500, "demo " * 50)])
    out = capsys.readouterr().out
    assert "a" * 500 in out
    assert "demo " * 50 in out


def test_a_long_value_of_one_thing_is_left_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_record({"signing_secret": "w" * 300, "id": "x"})
    assert capsys.readouterr().out == f"signing secret  {'w' * 300}\nid              x\n"


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
