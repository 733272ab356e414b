"""How commands show what they found: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    #: Heading → the field of a row under it (a time, `…_at`, to the second), or what is made of the row.
    Columns = Mapping[str, str | Callable[[Any], Any]]

_PIPE_WIDTH = 160

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
        made.width = _PIPE_WIDTH  # a pipe has no width of its own, and 80 would cut columns off
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


def show_rows(rows: Iterable[Mapping[str, Any]], columns: Columns) -> None:
    """What the API answers in a list, as a table."""
    show_table(tuple(columns), [[_cell(row, take) for take in columns.values()] for row in rows])


def _cell(row: Mapping[str, Any], take: str | Callable[[Any], Any]) -> Any:
    if callable(take):
        return take(row)
    return moment(row[take]) if take.endswith("_at") else row[take]


def show_table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; ids and times are never broken."""
    table = Table(*(Column(name, no_wrap=name in {"id", "created", "at"}, overflow="fold") for name in names))
    for row in rows:
        table.add_row(*map(shown, row))
    console().print(table)


def show_record(record: Mapping[str, Any]) -> None:
    """Name and value, a line each; nested values as JSON."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in record.items():
        grid.add_row(name.replace("_", " "), shown(value))
    console().print(grid)


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "-"
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
    return "-" if text is None else text[:19].replace("T", " ")


def _speaks_utf8() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
