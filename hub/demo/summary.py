"""What the demo says at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from hub.db.states import State

if TYPE_CHECKING:
    from rich.console import Console

    from hub.demo.traffic import Report

_SHOWN_PROBLEMS = 20


def show(report: Report, console: Console) -> None:
    """Print the tables and the verdict."""
    executions, *endpoints = report.tallies
    table = Table(title="What was accepted, and what came of it", title_justify="left")
    table.add_column("", no_wrap=True)
    for name in ("accepted", "done", "failed", "held", "retries", "seen outside"):
        table.add_column(name, justify="right")
    for what, tally in (
        ("executions", executions),
        *((f"events to {tally.what}", tally) for tally in endpoints),
    ):
        states = [tally.states.get(state.value, 0) for state in (State.DONE, State.FAILED, State.HELD)]
        numbers = (tally.expected, *states, tally.retried, tally.calls)
        table.add_row(what, *(f"{number:,}" for number in numbers))
    console.print(table)
    console.print(
        f"{report.published:,} events published; {report.repeated} of them twice, recognised as the same."
    )
    for name, reason in report.disabled.items():
        console.print(f"Endpoint {name} was disabled by the hub ({reason}); what it missed is held for it.")
    for name, (status, checks, latency) in report.health.items():
        console.print(
            f"Integration {name} is {status} after {checks} health checks, {latency:.0f} ms on average."
        )
    show_verdict(report, console)


def show_verdict(report: Report, console: Console) -> None:
    """Print whether anything is missing or doubled."""
    if not report.problems:
        console.print(
            f"Nothing is missing and nothing is doubled: every id was compared on both sides."
            f" {report.seconds:.1f} s."
        )
        return
    console.print(f"Not all is well ({len(report.problems)}):")
    for problem in report.problems[:_SHOWN_PROBLEMS]:
        console.print(f"  {problem}")


def as_json(report: Report) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "ok": not report.problems,
        "seconds": round(report.seconds, 2),
        "published": report.published,
        "repeated": report.repeated,
        "tallies": [
            {
                "what": tally.what,
                "expected": tally.expected,
                "states": dict(tally.states),
                "retried": tally.retried,
                "seen": tally.calls,
            }
            for tally in report.tallies
        ],
        "disabled": report.disabled,
        "health": {
            name: {"status": status, "checks": checks} for name, (status, checks, _) in report.health.items()
        },
        "problems": report.problems,
    }
