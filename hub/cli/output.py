"""How commands show what they found: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_PIPE_WIDTH = 160

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
limit_option = click.option("--limit", type=click.IntRange(1, 250), default=50, show_default=True)
cursor_option = click.option("--cursor", help="`next_cursor` of the page before.")


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


def show_more(page: Mapping[str, Any]) -> None:
    """Say how to get the next page, where it does not disturb a pipe."""
    if page["next_cursor"] is not None:
        click.echo(f"There is more: --cursor {page['next_cursor']}", err=True)


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
