"""Changes as lines."""

from __future__ import annotations

from typing import Any

import pytest

from hub.cli.changes import change_lines, show_line


def lines(before: Any, after: Any) -> list[tuple[str, str]]:
    return list(change_lines({"path": "p", "before": before, "after": after}))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 2.5, [("-", "  - p: 1"), ("+", "  + p: 2.5")]),
        (None, "ä", [("+", '  + p: "ä"')]),
        ({"a": 1}, None, [("-", '  - p: {"a": 1}')]),
        (True, False, [("-", "  - p: true"), ("+", "  + p: false")]),
    ],
)
def test_a_short_change_is_a_line_for_each_side(
    before: Any, after: Any, expected: list[tuple[str, str]]
) -> None:
    assert lines(before, after) == expected


def test_a_long_text_shows_the_lines_that_changed() -> None:
    text = "\n".join(f"-line {n}" for n in range(20))
    shown = lines(text, text.replace("line 10", "line X"))
    assert shown[0] == ("", "    p:")
    assert ("-", "  -     -line 10") in shown
    assert ("+", "  +     -line X") in shown
    assert (" ", "        -line 9") in shown
    assert len(shown) == 8


def test_a_long_value_is_shown_as_indented_json() -> None:
    steps = [{"set": {"path": f"a.b.c{n}", "value": n}} for n in range(9)]
    shown = lines(steps, steps[:8])
    assert ("-", '  -           "path": "a.b.c8",') in shown
    assert not any("c2" in line for _, line in shown)


def test_brackets_and_colons_are_no_formatting(capsys: pytest.CaptureFixture[str]) -> None:
    show_line("  + p: [red]x[/red] :smile:", "+")
    assert capsys.readouterr().out == "  + p: [red]x[/red] :smile:\n"
