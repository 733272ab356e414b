"""The execute worker dies in the middle of its calls."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest

from tests.faults.load import leased, wait_until_finished
from tests.support.receivers import FastReceiver
from tests.support.stack import RunningHub
from tests.support.waiting import until

pytestmark = pytest.mark.faults

#: Executions of each kind, and how often the worker is killed among them.
_COUNT = 60
_KILLS = 2


def rows(hub: RunningHub, operation: str) -> list[Any]:
    return hub.rows(
        "SELECT e.state, e.reason, e.input -> 'path' ->> 'n' AS n,"
        " (SELECT count(*) FROM hub.attempt a WHERE a.work_id = e.id) AS attempts"
        " FROM hub.execution e WHERE e.operation = :operation",
        operation=operation,
    )


def test_kill_9_repeats_what_is_idempotent_and_never_the_rest(
    hub: RunningHub, receiver: FastReceiver
) -> None:
    integration = hub.http.create_integration(
        name="provider",
        base_url=receiver.url,
        # A lease lasts longer than the longest call: with this the killed worker's ones end soon.
        timeout_seconds=2,
        operations={
            "read": {"method": "GET", "path": "/slow/0.3/read/{n}"},
            "pay": {"method": "POST", "path": "/slow/0.3/pay/{n}"},
        },
    )["id"]
    in_flight = 0
    numbers = iter(range(_COUNT))
    for _ in range(_KILLS):
        before = len(receiver.seen())
        for number in itertools.islice(numbers, _COUNT // _KILLS):
            for operation in ("read", "pay"):
                hub.http.execute(integration, operation, {"path": {"n": number}})
        until(lambda: len(receiver.seen()) >= before + 10, what="calls")  # noqa: B023
        hub.kill("execute")
        died_with = leased(hub, "execution")
        in_flight += len(died_with)
        hub.start("execute")
        wait_until_finished(hub, "execution", died_with)
    until(
        lambda: not hub.query("SELECT count(*) FROM hub.execution WHERE finished_at IS NULL"),
        what="the end of all executions",
    )

    seen = receiver.paths()
    reads, pays = rows(hub, "read"), rows(hub, "pay")
    print(
        f"in flight {in_flight}; reads {sum(c for p, c in seen.items() if 'read' in p)} calls for {_COUNT};"
    )
    print(f"pays {sum(c for p, c in seen.items() if 'pay' in p)} calls, {Counter(row.state for row in pays)}")
    assert 0 < in_flight <= _KILLS * hub.settings.execute_in_flight
    assert Counter(row.state for row in reads) == {"done": _COUNT}
    for row in reads:
        assert 1 <= seen[f"/slow/0.3/read/{row.n}"] <= row.attempts
    assert sum(seen.values()) - len(seen) <= in_flight

    # A payment may have arrived when its worker died: that is said, and it is not made again.
    failed = [row for row in pays if row.state == "failed"]
    assert Counter(row.state for row in pays) == {"done": _COUNT - len(failed), "failed": len(failed)}
    assert 0 < len(failed) <= in_flight
    assert {row.reason for row in failed} == {"interrupted"}
    for row in pays:
        calls = seen[f"/slow/0.3/pay/{row.n}"]
        assert calls == 1 or (calls == 0 and row.state == "failed")
