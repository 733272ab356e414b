"""The way to Redis that everything in this room takes: one script a call, and a quick end when Redis is away.

Promises: a call is one round trip (two more after a restart or `SCRIPT FLUSH`, to load the script again); it raises
`OutOfReach` and nothing else for whatever Redis does. After three faults in a row, calls end at once for a second,
then one of them tries again: a thousand threads do not wait for a timeout each, and a single slow answer opens nothing.
Leaves to others: what being out of reach means (`OnOutage`), and how long a call may take (`connect`).
"""

from __future__ import annotations

import logging
import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.commands.core import Script

log = logging.getLogger(__name__)

#: Every key of this room begins so. Each has a time to live; all of them may vanish at any time.
PREFIX = "hub:limits:"
#: Lua that sets `now`, microseconds of Redis' own clock: the clocks of workers do not matter.
CLOCK = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
"""

_FAULTS_IN_A_ROW = 3


class OnOutage(StrEnum):
    """What a limit does while Redis is out of reach."""

    ADMIT = "admit"
    REFUSE = "refuse"


class OutOfReach(Exception):
    """Redis did not answer, or answered with an error."""


def connect(url: str, *, connections: int = 32, timeout: float = 0.5) -> redis.Redis:
    """A client for this room; one is enough for all threads of a process.

    A script is never repeated by the client: after a timeout nobody knows whether it was run.

    Args:
        url: redis://, rediss:// or unix://.
        connections: at most; more threads than that take turns, for four timeouts.
        timeout: seconds; of connecting, and of an answer.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=4 * timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=25,
    )
    return redis.Redis.from_pool(pool)


class Reach:
    """Runs scripts. Safe in any number of threads; one for a process, so that one finding serves all limits.

    Args:
        client: from `connect`, or another whose calls end soon.
        rest: seconds without trying after three faults in a row.
        monotonic: the clock for that.
    """

    def __init__(
        self, client: redis.Redis, *, rest: float = 1.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._rest = rest
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._faults = 0
        self._try_at = 0.0

    def script(self, text: str) -> Script:
        """Make a script for `run`."""
        return self._client.register_script(text)

    def run(self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> Any:
        """Run a script.

        Raises:
            OutOfReach: it may or may not have run.
        """
        if self._faults >= _FAULTS_IN_A_ROW:
            self._wait_your_turn()
        try:
            answer = script(keys=keys, args=args)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self._note(error)
            raise OutOfReach from error
        except redis.RedisError as error:
            # It is there but takes no writes: full, a replica, loading. The next key may fare better.
            log.warning("Redis refused a limit's script (%s).", type(error).__name__)
            raise OutOfReach from error
        if self._faults:
            self._recovered()
        return answer

    def _wait_your_turn(self) -> None:
        with self._lock:
            now = self._monotonic()
            if self._faults >= _FAULTS_IN_A_ROW:
                if now < self._try_at:
                    raise OutOfReach
                self._try_at = now + self._rest  # this call tries; the others go on without

    def _note(self, error: Exception) -> None:
        with self._lock:
            self._faults += 1
            self._try_at = self._monotonic() + self._rest
            if self._faults == _FAULTS_IN_A_ROW:
                # Only the type: the text can hold a URL with a password.
                log.warning("Redis is out of reach for the limits (%s).", type(error).__name__)

    def _recovered(self) -> None:
        with self._lock:
            if self._faults >= _FAULTS_IN_A_ROW:
                log.warning("Redis answers the limits again.")
            self._faults = 0
