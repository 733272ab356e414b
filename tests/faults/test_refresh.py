"""Tokens are renewed by many processes at once, some of which are killed, at a provider that punishes a double use.

The provider is oidc-provider with refresh tokens that are good for one use: using one twice revokes everything.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from hub.integrations.grants import authorization
from hub.integrations.grants.errors import NeedsReauth, NotYet
from hub.integrations.grants.holder import Holder
from tests.integration.integrations.grants.world import World
from tests.support.oidc import REFRESH, Browser, Oidc, serving_oidc
from tests.support.refreshing import POINTS
from tests.support.servers import MASTER_KEY
from tests.support.waiting import until

pytestmark = pytest.mark.faults

HUB = "http://127.0.0.1:8400"
#: Seconds; in production it is longer than a question may take.
LEASE = 3.0


@pytest.fixture(scope="module")
def oidc() -> Iterator[Oidc]:
    with serving_oidc() as running:
        yield running


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    made = World.on(engine)
    yield made
    made.close()


class Caller:
    """A process with threads that want a token."""

    def __init__(self, database_url: str, holder: Holder, *, threads: int = 25, point: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.refreshing"],
            env={**os.environ, "HUB_DATABASE_URL": database_url, "HUB_MASTER_KEYS": MASTER_KEY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        task = {
            "tenant": str(holder.tenant_id),
            "integration": str(holder.id),
            "threads": threads,
            "lease": LEASE,
            "point": point,
        }
        self._say(json.dumps(task))
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def begin(self) -> None:
        self._say("go")

    def got(self) -> list[str]:
        """What the threads got, at the end."""
        out, _ = self.process.communicate(timeout=60)
        found: list[str] = json.loads(out)
        return found

    def dies(self) -> None:
        self.process.communicate(timeout=60)
        assert self.process.returncode == -signal.SIGKILL

    def close(self) -> None:
        """Whatever became of the test, nothing runs on."""
        self.process.kill()
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@pytest.fixture
def start(database_url: str) -> Iterator[Callable[..., Caller]]:
    """Makes callers, and ends them."""
    made: list[Caller] = []

    def make(holder: Holder, **options: Any) -> Caller:
        made.append(Caller(database_url, holder, **options))
        return made[-1]

    yield make
    for caller in made:
        caller.close()


def connected(world: World, oidc: Oidc) -> Holder:
    """An integration that a person has connected and whose access token has ended."""
    grants = world.grants("api")
    holder = world.holder(oidc.settings(), client_secret="web-secret-0123456789")
    back = Browser(HUB).walk(authorization.start(grants, holder, public_url=HUB).url)
    authorization.finish(grants, dict(pair.split("=", 1) for pair in back.partition("?")[2].split("&")))
    world.change(holder, "expires_at = now()")
    return holder


def test_fifty_callers_in_two_processes_cost_one_renewal(
    world: World, oidc: Oidc, start: Callable[..., Caller]
) -> None:
    holder = connected(world, oidc)
    before = oidc.counts().get(REFRESH, 0)
    oidc.delay(0.5)
    callers = [start(holder) for _ in range(2)]
    for caller in callers:
        caller.begin()
    found = [one for caller in callers for one in caller.got()]
    oidc.delay(0)
    row = world.row(holder)
    assert len(found) == 50
    assert set(found) == {world.stored_fingerprint(row.access_secret_id)}
    assert oidc.counts()[REFRESH] == before + 1
    assert (row.state, row.version) == ("active", 2)


@pytest.mark.parametrize("point", POINTS)
def test_kill_9_at_each_step_of_a_renewal(
    world: World, oidc: Oidc, start: Callable[..., Caller], point: str
) -> None:
    holder = connected(world, oidc)
    before = oidc.counts().get(REFRESH, 0)
    victim = start(holder, threads=4, point=point)
    others = [start(holder, threads=10) for _ in range(2)]
    victim.begin()
    victim.dies()
    asked = oidc.counts().get(REFRESH, 0) - before
    assert asked == (0 if point in {"before lease", "after intent"} else 1)
    for other in others:
        other.begin()
    if point in {"after intent", "after question", "before commit"}:
        # Its lease lives for a while, and nobody asks.
        until(lambda: lease_left(world, holder) < LEASE / 2, what="half of the lease")
        assert lease_left(world, holder) > 0
        assert oidc.counts().get(REFRESH, 0) - before == asked
    found = {one for other in others for one in other.got()}
    row = world.row(holder)
    assert row.lease_until is None
    if point in {"after question", "before commit"}:
        # The provider has replaced the refresh token, and nobody knows by what: said honestly, asked once.
        assert found == {"needs_reauth"}
        assert row.state == "needs_reauth"
        assert "invalid_grant" in row.last_error
        assert "cut off" in row.last_error
        assert oidc.counts()[REFRESH] - before == 2
    else:
        assert found == {world.stored_fingerprint(row.access_secret_id)}
        assert (row.state, row.version) == ("active", 2)
        assert oidc.lives(world.stored(row.access_secret_id))
        assert oidc.counts()[REFRESH] - before == 1


def test_a_process_that_was_stopped_for_longer_than_its_lease_does_not_undo_what_others_did(
    world: World, oidc: Oidc, start: Callable[..., Caller]
) -> None:
    holder = connected(world, oidc)
    oidc.delay(1.0)
    sleeper = start(holder, threads=1)
    before = oidc.counts().get("all", 0)
    sleeper.begin()
    until(lambda: oidc.counts().get("all", 0) > before, what="its question")
    sleeper.process.send_signal(signal.SIGSTOP)
    oidc.delay(0)
    until(lambda: lease_left(world, holder) <= 0, what="the end of its lease")
    other = start(holder, threads=5)
    other.begin()
    # The provider took the old refresh token from the sleeper, so it refuses the other one, and revokes.
    assert set(other.got()) == {"needs_reauth"}
    sleeper.process.send_signal(signal.SIGCONT)
    sleeper.got()
    row = world.row(holder)
    # What the sleeper was granted came later than the refusal: it is kept, and the next renewal tells what it is worth.
    assert row.state == "active"
    assert row.version == 2


def test_a_lost_answer_is_told_honestly(world: World, oidc: Oidc) -> None:
    holder = connected(world, oidc)
    oidc.drop()
    first = world.grants("first")
    with pytest.raises(NotYet, match="gave no token"):
        first.credentials(holder)
    row = world.row(holder)
    assert (row.state, row.failures) == ("active", 1)
    world.change(holder, "not_before = NULL")
    with pytest.raises(NeedsReauth, match=r"invalid_grant.*cut off"):
        world.grants("second").credentials(holder)
    assert world.row(holder).state == "needs_reauth"
    assert len(world.alarms.reasons) == 1


def test_a_provider_that_is_down_costs_no_grant(world: World, oidc: Oidc) -> None:
    holder = connected(world, oidc)
    before = oidc.counts().get("all", 0)
    oidc.fail(503, times=3)
    for number in range(3):
        with pytest.raises(NotYet, match="503"):
            world.grants(str(number)).credentials(holder)
        world.change(holder, "not_before = NULL")
    granted = world.grants("last").credentials(holder)
    assert oidc.lives(granted.credentials.secrets["access_token"].reveal())
    assert oidc.counts()["all"] == before + 4
    assert world.alarms.reasons == []


def lease_left(world: World, holder: Holder) -> float:
    """Seconds, by the database's clock."""
    with world.engine.connect() as conn:
        found = conn.exec_driver_sql(
            "SELECT coalesce(extract(epoch FROM lease_until - now()), 0)::float8"
            f" FROM hub.integration_grant WHERE integration_id = '{holder.id}'"
        )
        return float(found.scalar_one())
