"""SQL statements for each event, counted in Postgres's own log of every statement of every process of the hub.

The background (sweeps, heartbeats, an idle pump's looks) is counted as well. What frames a transaction is
counted apart: it costs a round trip and no work.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.benchmarks import ledger, traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.running import Bench

#: `execute` is the extended protocol (parse and bind have lines of their own), `statement` the simple one.
_STATEMENT = re.compile(r"duration: \S+ ms  (?:execute [^:]*|statement):\s*(\w*)")
#: The empty word is the ping of a pooled connection.
_CONTROL = {"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", ""}


def run(bench: Bench) -> list[Figure]:
    """Publish and deliver flat out, then one event at a time, and count."""
    flat_out = bench.pick(10_000, 4_000)
    log = bench.directory / "log" / "postgres.log"
    _log_statements(bench, on=True)
    mark = log.stat().st_size
    bench.receiver.mark()
    traffic.publish(bench, lists=True, connections=2, requests=flat_out // traffic.LIST_LENGTH)
    bench.receiver.wait_for(flat_out, seconds=60)
    bench.wait_idle(seconds=10)
    work, control = count(log, mark)
    mark = log.stat().st_size
    bench.receiver.mark()
    seconds = bench.pick(8, 4)
    slow = traffic.publish(bench, lists=False, connections=1, rate=1, seconds=seconds)
    bench.receiver.wait_for(len(slow.due), seconds=10)
    bench.wait_idle(seconds=10)
    alone = count(log, mark)
    _log_statements(bench, on=False)
    return [
        Figure(
            "statements for each event at full load", (work + control) / flat_out, "", at_most=1,
            note="BEGIN, COMMIT, SET, pings and all background included",
        ),
        Figure("of them that do work", work / flat_out, ""),
        Figure(
            "statements a second at one event a second", alone[0] / seconds, "",
            note="that do work; sweeps and heartbeats included",
        ),
    ]  # fmt: skip


def count(log: Path, start: int) -> tuple[int, int]:
    """Statements in the log from this byte on: those that do work, and those that frame transactions."""
    with log.open("rb") as file:
        file.seek(start)
        words = Counter(
            match[1].upper() for match in _STATEMENT.finditer(file.read().decode(errors="replace"))
        )
    control = sum(number for word, number in words.items() if word in _CONTROL)
    return words.total() - control, control


def _log_statements(bench: Bench, *, on: bool) -> None:
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        ledger.log_statements(conn, on=on)
