"""Single events at a steady rate, each followed from its publisher to its receiver.

Open loop: times count from when a publish request was due, whatever the hub did meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from tests.benchmarks import traffic
from tests.benchmarks.figures import Figure
from tests.benchmarks.program import NoResult
from tests.benchmarks.running import Audience, Bench
from tests.benchmarks.traffic import Sent

_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Live:
    """What became of the events.

    Args:
        sent: the publishing of all of them.
        due: of each event that was followed, when its publish request was due, Unix time.
        answered: when the answer to it was there.
        arrived: when its receiver had read the webhook.
    """

    sent: Sent
    due: list[float]
    answered: list[float]
    arrived: list[float]

    def seconds(self, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """From due to received, of the events that were due in this time.

        Raises:
            NoResult: there were none.
        """
        found = [
            end - start for start, end in zip(self.due, self.arrived, strict=True) if since <= start <= until
        ]
        if not found:
            raise NoResult("no live event was published in that time")
        return found

    @property
    def after_answer(self) -> list[float]:
        """From the 202 to received; below zero when the webhook is faster than the answer."""
        return [end - start for start, end in zip(self.answered, self.arrived, strict=True)]


def follow(
    bench: Bench, audience: Audience, *, rate: float, seconds: float, beside: Audience | None = None
) -> Live:
    """Publish at a steady rate and wait until everything that is followed has arrived.

    Args:
        bench: the run.
        audience: who is followed; its endpoints get events in turn.
        rate: events per second, all together.
        seconds: how long.
        beside: endpoints of the same tenant that get every second event and are not followed.

    Raises:
        NoResult: an event did not arrive.
    """
    types = audience.types
    if beside is not None:
        types = [one for pair in zip(audience.types, beside.types, strict=True) for one in pair]
    sent = traffic.publish(
        bench, types=types, headers=audience.headers, connections=_CONNECTIONS, rate=rate, seconds=seconds,
        ids=True,
    )  # fmt: skip
    followed = [
        one
        for one in zip(sent.numbers, sent.ids, sent.due, sent.answered, strict=True)
        if beside is None or one[0] % 2 == 0
    ]
    bench.receiver.wait_for(len(followed), path=audience.path, seconds=30)
    arrived = {one.id: one.at for one in reversed(bench.receiver.requests(audience.path))}
    if missing := {id_ for _, id_, _, _ in followed} - set(arrived):
        raise NoResult(f"{len(missing)} of {len(followed)} events did not arrive")
    return Live(
        sent,
        [due for _, _, due, _ in followed],
        [answered for _, _, _, answered in followed],
        [arrived[id_] for _, id_, _, _ in followed],
    )


@contextmanager
def going(bench: Bench, audience: Audience, *, rate: float, seconds: float) -> Iterator[Future[Live]]:
    """`follow` in the background, for the time of a `with` block."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(follow, bench, audience, rate=rate, seconds=seconds)


def generator_figures(name: str, sent: Sent) -> list[Figure]:
    """Whether the load generator itself was what was measured."""
    return [
        Figure(f"{name}: load generator's CPU", sent.cpu * 100, "%", note="of one core, one process"),
        Figure(f"{name}: load generator's own delay, p99", sent.lag * 1000, "ms"),
    ]
