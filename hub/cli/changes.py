"""Changes of definitions as people read them: what goes in red, what comes in green."""

from __future__ import annotations

import json
from difflib import unified_diff
from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.text import Text

from hub.cli.output import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hub.client.results import Change

_STYLES = {"+": "green", "-": "red", "~": "yellow"}
#: Characters of a value that stays on one line.
_ONE_LINE = 100
#: Lines around a change.
_CONTEXT = 2


def show_line(line: str, sign: str = "") -> None:
    """Print a line of a diff in the colour of its sign."""
    console().print(Text(line, style=_STYLES.get(sign, "")), soft_wrap=True)


def show_changes(changes: Iterable[Change]) -> None:
    """Print changes, each with its path."""
    for change in changes:
        for sign, line in change_lines(change):
            show_line(line, sign)


def change_lines(change: Change) -> Iterator[tuple[str, str]]:
    """One change: two lines, or a diff when its values are long, each with its sign. None has no line."""
    path, before, after = change["path"], _lines(change["before"]), _lines(change["after"])
    if len(before) <= 1 and len(after) <= 1:
        yield from (("-", f"  - {path}: {line}") for line in before)
        yield from (("+", f"  + {path}: {line}") for line in after)
        return
    yield "", f"    {path}:"
    # The first two lines name files.
    for line in islice(unified_diff(before, after, n=_CONTEXT, lineterm=""), 2, None):
        yield ("", "      …") if line.startswith("@@") else (line[0], f"  {line[0]}     {line[1:]}")


def _lines(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str) and "\n" in value:
        return value.splitlines()
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= _ONE_LINE or not isinstance(value, dict | list):
        return [text]
    return json.dumps(value, ensure_ascii=False, indent=2).splitlines()
