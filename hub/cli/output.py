"""How commands show what they found: tables for people, JSON for scripts.

Promises: ids, names and URLs are never broken, so that they can be copied; in a terminal that is too narrow for a table
each row becomes a few lines; what is not a terminal gets everything, however wide.
"""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    #: Heading → the field of a row under it (a time, `…_at`, to the second), or what is made of the row.
    Columns = Mapping[str, str | Callable[[Any], Any]]

#: A pipe has no width, and nothing is to be cut or broken in it.
_PIPE_WIDTH = 100_000
#: Cells of text may be broken between words, down to so many columns.
_TEXT_WIDTH = 24
_INDENT = "  "
_NOTHING = "-"

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
_limit_option = click.option("--limit", type=click.IntRange(1, 250), default=50, show_default=True)
_cursor_option = click.option("--cursor", help="`next_cursor` of the page before.")


def page_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--limit` and `--cursor`, named as the client's lists name them, and `--json`."""
    return _limit_option(_cursor_option(as_json_option(command)))


def console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error for progress."""
    # Names and messages are free text: brackets and colons in them are not formatting.
    made = Console(markup=False, emoji=False, highlight=False, stderr=stderr)
    if not made.is_terminal:
        made.width = _PIPE_WIDTH
    return made


def show_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=not _speaks_utf8()))


def show_page(page: Mapping[str, Any], columns: Columns, *, as_json: bool) -> None:
    """A page of a list; how to get the next one is said where it does not disturb a pipe."""
    if as_json:
        show_json(page)
        return
    show_rows(page["data"], columns)
    if page["next_cursor"] is not None:
        click.echo(f"There is more: --cursor {page['next_cursor']}", err=True)


def show_found(found: Mapping[str, Any], *, as_json: bool, line: str | None = None) -> None:
    """One thing: what it has, name by name, or a line about it."""
    if as_json:
        show_json(found)
    elif line is None:
        show_record(found)
    else:
        click.echo(line)


def show_deleted(key: str, *, as_json: bool) -> None:
    """That a thing is gone.

    Args:
        key: its id.
        as_json: as an object instead of a line.
    """
    show_found({"id": key, "deleted": True}, as_json=as_json, line=f"{key} deleted")


def show_rows(rows: Iterable[Mapping[str, Any]], columns: Columns) -> None:
    """What the API answers in a list, as a table."""
    show_table(tuple(columns), [[_cell(row, take) for take in columns.values()] for row in rows])


def _cell(row: Mapping[str, Any], take: str | Callable[[Any], Any]) -> Any:
    if callable(take):
        return take(row)
    return moment(row[take]) if take.endswith("_at") else row[take]


def show_table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table, or a few lines for each row where it does not fit the terminal."""
    cells = [[shown(value) for value in row] for row in rows]
    out = console()
    text = [any(" " in row[i] and not _is_moment(row[i]) for row in cells) for i in range(len(names))]
    if table_fits(names, cells, text, out.width):
        table = Table(*(Column(name, no_wrap=not text[i]) for i, name in enumerate(names)))
        for row in cells:
            table.add_row(*row)
        out.print(table)
        return
    for row in cells:
        for line in row_lines(names, row, out.width):
            out.print(line, soft_wrap=True)


def table_fits(names: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[bool], width: int) -> bool:
    """Whether a table needs to break no word.

    Args:
        names: of the columns.
        rows: the cells.
        text: for each column, whether it may be broken between words.
        width: of the terminal.
    """
    columns = [[name, *(row[i] for row in rows)] for i, name in enumerate(names)]
    widths = [max(map(cell_len, cells)) for cells in columns]
    words = [
        cell_len(word) for i, cells in enumerate(columns) if text[i] for one in cells for word in one.split()
    ]
    # All columns of text are narrowed alike, so the longest word of any of them counts for all.
    narrowest = max([_TEXT_WIDTH, *words])
    needed = [min(full, narrowest) if text[i] else full for i, full in enumerate(widths)]
    return sum(needed) + 3 * len(names) + 1 <= width


def row_lines(names: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    """A row as lines: its id, then name and value of what else it has, as many as fit a line."""
    lines = [row[0] if names[0] == "id" else f"{names[0]}: {row[0]}"]
    line = ""
    for name, value in zip(names[1:], row[1:], strict=True):
        if value in {"", _NOTHING}:
            continue
        pair = f"{name}: {value}"
        if line and cell_len(f"{_INDENT}{line}{_INDENT}{pair}") <= width:
            line += _INDENT + pair
            continue
        lines += _wrapped(line, width)
        line = pair
    return lines + _wrapped(line, width)


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(
        line, width, initial_indent=_INDENT, subsequent_indent=2 * _INDENT,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _is_moment(text: str) -> bool:
    return len(text) == len("2026-11-22 10:00:00") and text[4:20:3] == "-- ::"


def show_record(record: Mapping[str, Any]) -> None:
    """Name and value, a line each, which only the terminal wraps; nested values as JSON."""
    out = console()
    width = max(map(len, record), default=0)
    for name, value in record.items():
        out.print(f"{name.replace('_', ' '):<{width}}  {shown(value)}", soft_wrap=True)


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict | list)
        else str(value)
    )


def moment(text: str | None) -> str:
    """A time to the second: the API's microseconds are noise in a table."""
    return _NOTHING if text is None else text[:19].replace("T", " ")


def _speaks_utf8() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
