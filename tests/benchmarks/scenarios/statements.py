"""SQL statements for each event, counted by pg_stat_statements over all processes of the hub.

The background (sweeps, heartbeats, an idle pump's looks) is counted as well, and so is what frames a transaction. The
empty statement by which a pooled connection is pinged does nothing, and Postgres does not count it.
"""

from __future__ import annotations

from tests.benchmarks import ledger, traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.running import Bench


def run(bench: Bench) -> list[Figure]:
    """Publish and deliver flat out, then one event at a time, and count."""
    count, seconds = bench.pick(10_000, 4_000), bench.pick(8, 4)
    bench.fresh()
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        ledger.track_statements(conn, on=True)
        traffic.publish(bench, lists=True, connections=2, requests=count // traffic.LIST_LENGTH)
        bench.receiver.wait_for(count, seconds=60)
        bench.wait_recorded(count, seconds=20)
        full = ledger.count_statements(conn)
        slow = traffic.publish(bench, connections=1, rate=1, seconds=seconds)
        bench.wait_recorded(count + len(slow.due), seconds=20)
        alone = ledger.count_statements(conn)
        ledger.track_statements(conn, on=False)
    return [
        Figure(
            "statements for each event at full load", (full.work + full.frames) / count, "", at_most=1,
            note=f"{count:,} events; BEGIN, COMMIT, SET and all background included",
        ),
        Figure("of them that do work", full.work / count, ""),
        Figure(
            "statements a second at one event a second", alone.work / seconds, "",
            note="that do work; sweeps and heartbeats included",
        ),
    ]  # fmt: skip
