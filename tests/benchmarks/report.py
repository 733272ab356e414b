"""The report of one run: a table for people, a JSON file for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tests.benchmarks.figures import Figure

COMMAND = "python -m tests.benchmarks --only"
_MARKS = {True: "holds", False: "FAILS", None: ""}


def print_table(results: Mapping[str, Sequence[Figure]], facts: Mapping[str, Any]) -> None:
    """Print all figures; plain text when the output is no terminal.

    Args:
        results: figures by scenario.
        facts: what machine and versions they were measured on.
    """
    console = Console(width=None if Console().is_terminal else 140)
    table = Table(box=box.SIMPLE_HEAD, title_justify="left", title="Measured in this run")
    table.add_column("scenario", no_wrap=True)
    table.add_column("figure", ratio=1)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("promised", no_wrap=True)
    table.add_column("check", no_wrap=True)
    for scenario, figures in results.items():
        for index, figure in enumerate(figures):
            color = {True: "green", False: "bold red", None: ""}[figure.holds]
            table.add_row(
                scenario if index == 0 else "",
                f"{figure.name} ({figure.note})" if figure.note else figure.name,
                f"{show(figure.value)} {figure.unit}".rstrip(),
                promise(figure),
                f"[{color}]{_MARKS[figure.holds]}[/]" if color else "",
                end_section=index == len(figures) - 1,
            )
    console.print(table)
    console.print(f"One of them again: {COMMAND} SCENARIO", highlight=False)
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)


def show(value: float) -> str:
    """A number with as many digits as mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 1 else f"{value:.3f}"


def promise(figure: Figure) -> str:
    """The promise in signs."""
    if figure.at_least is not None:
        return f"≥ {figure.at_least:,g} {figure.unit}".rstrip()
    return f"≤ {figure.at_most:,g} {figure.unit}".rstrip() if figure.at_most is not None else ""


def write_json(
    path: Path, results: Mapping[str, Sequence[Figure]], facts: Mapping[str, Any], *, quick: bool
) -> None:
    """Write the same as JSON.

    Args:
        path: the file; its directory is made.
        results: figures by scenario.
        facts: what machine and versions they were measured on.
        quick: whether it was a shortened run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scenarios = {
        name: {
            "command": f"{COMMAND} {name}{' --quick' if quick else ''}",
            "figures": [asdict(figure) | {"holds": figure.holds} for figure in figures],
        }
        for name, figures in results.items()
    }
    path.write_text(
        json.dumps({"quick": quick, "facts": dict(facts), "scenarios": scenarios}, indent=2) + "\n"
    )
