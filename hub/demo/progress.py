"""How far the demo is: a table that moves on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

_LINE_SECONDS = 2.0
_BAR_WIDTH = 30


class Progress:
    """Counts by name, shown for the time of a `with` block.

    Args:
        console: where to show them.
        totals: how many of each there will be.
    """

    def __init__(self, console: Console, totals: dict[str, int]) -> None:
        self._console = console
        self._totals = totals
        self._done = dict.fromkeys(totals, 0)
        self._started = time.monotonic()
        self._said_at = self._started
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=8, get_renderable=self._table)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        else:
            self._console.print(self._line())

    def update(self, name: str, done: int) -> None:
        """Say how many are done."""
        self._done[name] = done
        now = time.monotonic()
        if self._live is None and now - self._said_at >= _LINE_SECONDS:
            self._said_at = now
            self._console.print(self._line())

    def _line(self) -> str:
        parts = ", ".join(f"{name} {done}/{self._totals[name]}" for name, done in self._done.items())
        return f"{time.monotonic() - self._started:5.1f} s  {parts}"

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(width=_BAR_WIDTH)
        for name, done in self._done.items():
            total = self._totals[name]
            bar = ProgressBar(total=max(1, total), completed=min(done, total), width=_BAR_WIDTH)
            table.add_row(name, f"{done:,} / {total:,}", bar)
        return table
