"""How long a single event takes to its receiver, at steady rates.

From the moment its publish request was due (open loop) to the moment the receiver has read the webhook: the time to
accept it is part of it. The time from the 202 alone stands beside it; it is below zero when the webhook is faster than
the answer.
"""

from __future__ import annotations

from tests.benchmarks import traffic
from tests.benchmarks.figures import Figure, latency_figures
from tests.benchmarks.program import NoResult
from tests.benchmarks.running import Bench

#: Events per second, and the promise about p95 in ms.
_RATES = ((200, 250.0), (1000, None))


def run(bench: Bench) -> list[Figure]:
    """Each rate for ten seconds."""
    figures: list[Figure] = []
    for rate, promise in _RATES:
        bench.receiver.mark()
        seconds = bench.pick(10, 4)
        sent = traffic.publish(bench, lists=False, connections=64, rate=rate, seconds=seconds, ids=True)
        bench.receiver.wait_for(len(sent.ids), seconds=20)
        bench.wait_idle(seconds=10)
        arrived = {id_: time for time, id_ in reversed(bench.receiver.requests())}
        if missing := set(sent.ids) - set(arrived):
            raise NoResult(f"{len(missing)} of {len(sent.ids)} events did not arrive")
        whole = [arrived[id_] - due for id_, due in zip(sent.ids, sent.due, strict=True)]
        after = [arrived[id_] - answered for id_, answered in zip(sent.ids, sent.answered, strict=True)]
        figures += latency_figures(f"{rate}/s, publish due to webhook received", whole, p95_at_most=promise)
        figures += latency_figures(f"{rate}/s, 202 received to webhook received", after)[1:2]
    return figures
