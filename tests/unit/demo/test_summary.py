"""What the demo says: the numbers, and a verdict that names what is wrong."""

from __future__ import annotations

import io
import json

from rich.console import Console

from hub.demo.audit import Tally
from hub.demo.progress import Progress
from hub.demo.summary import as_json, show
from hub.demo.traffic import Report


def report(*problems: str) -> Report:
    tallies = [Tally("executions", 2), Tally("healthy", 3)]
    tallies[1].states["done"] = 3
    return Report(
        seconds=1.25,
        published=3,
        repeated=1,
        tallies=tallies,
        disabled={"gone": "gone"},
        health={"open": ("healthy", 4, 12.0)},
        problems=list(problems),
    )


def shown(one: Report) -> str:
    out = io.StringIO()
    show(one, Console(file=out, width=160))
    return out.getvalue()


def test_a_good_end_says_that_nothing_is_missing() -> None:
    text = shown(report())
    assert "Nothing is missing and nothing is doubled" in text
    assert "Integration open is healthy after 4 health checks" in text
    assert "Endpoint gone was disabled" in text


def test_a_bad_end_names_what_is_wrong() -> None:
    text = shown(report("e1: it is missing."))
    assert "e1: it is missing." in text
    assert "Nothing is missing" not in text


def test_scripts_get_the_same() -> None:
    document = json.loads(json.dumps(as_json(report("e1: it is missing."))))
    assert (document["ok"], document["problems"]) == (False, ["e1: it is missing."])
    assert document["tallies"][1] == {
        "what": "healthy",
        "expected": 3,
        "states": {"done": 3},
        "retried": 0,
        "seen": 0,
    }


def test_progress_is_lines_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    with Progress(Console(file=out, width=160), {"events": 10}) as progress:
        progress.update("events", 7)
    assert out.getvalue().strip().endswith("events 7/10")
    assert "\x1b" not in out.getvalue()


def test_progress_is_a_table_on_a_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, width=160, force_terminal=True)
    with Progress(console, {"events": 10}) as progress:
        progress.update("events", 7)
    assert "7 / 10" in out.getvalue()
