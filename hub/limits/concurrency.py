"""Calls at once over all workers: slots that are leased.

Promises
- At most `cap` holders a key, over all workers and threads. The slots of a worker that vanishes end with their leases.
- Who finds no slot is told when to come back: the room knows how long slots are held lately, and sends callers one
  after the other at the pace at which slots become free.
- Acquire and release are one round trip each; release never raises.

Leaves to others: what a key is (it begins with the tenant's id), and leases that outlast the calls.
"""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.limits.reach import CLOCK, PREFIX, OnOutage, OutOfReach
from hub.limits.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.limits.reach import Reach

#: Seconds; nobody is told to stay away for longer.
MAX_HINT = 120.0
#: Seconds; nobody is told to come back sooner.
MIN_HINT = 0.05

_MICRO = 1_000_000
#: Microseconds that a slot is held, until one was released.
_FIRST_HELD = _MICRO // 5

# KEYS: slots (holder -> end of its lease), pace (held: how long, on average; called, queue: as in `rates`; empty: since
# when nobody holds one). ARGV: holder, cap, lease, turn, longest hint, jitter in [0, 1), how long slots are held at
# first. Times are microseconds.
_ACQUIRE = """
local function whole(number) return string.format('%.0f', number) end
local cap, turn, longest = tonumber(ARGV[2]), ARGV[4], tonumber(ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', whole(now))
local pace = redis.call('HMGET', KEYS[2], 'held', 'called', 'queue', 'empty')
local held, called, queue = tonumber(pace[1] or ARGV[7]), tonumber(pace[2] or 0), tonumber(pace[3] or 0)
local used = redis.call('ZCARD', KEYS[1])
if used < cap or redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  if used == 0 and pace[4] and now - pace[4] > 1000000 + held then
    -- Those who were told to come did not.
    redis.call('HDEL', KEYS[2], 'called', 'queue', 'empty')
  end
  redis.call('ZADD', KEYS[1], whole(now + ARGV[3]), ARGV[1])
  local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
  redis.call('PEXPIRE', KEYS[1], whole(math.ceil((last - now) / 1000) + 1000))
  return {1, '0'}
end
-- Somewhat ahead of the pace, for holds differ and callers come late: better one look in vain than an empty slot.
local step = 0.7 * held / cap
local virtual = math.max(now, called)
if turn ~= 'called' then virtual = math.max(virtual, queue) end
virtual = virtual + step
local wait = virtual - now
if wait > longest then
  wait = longest * (1 + ARGV[6]) / 2
elseif turn ~= 'reject' then
  redis.call('HSET', KEYS[2], turn, whole(virtual))
  redis.call('PEXPIRE', KEYS[2], whole(math.ceil((math.max(virtual, queue) - now) / 1000) + 600000))
end
return {0, whole(wait)}
"""

_RELEASE = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
local held = tonumber(redis.call('HGET', KEYS[2], 'held') or ARGV[2])
redis.call('HSET', KEYS[2], 'held', string.format('%.0f', held + (ARGV[2] - held) / 8))
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[2], 'empty', string.format('%.0f', now)) end
if redis.call('PTTL', KEYS[2]) < 600000 then redis.call('PEXPIRE', KEYS[2], 600000) end
return 1
"""


@dataclass(frozen=True, slots=True)
class Full:
    """No slot is free.

    Args:
        retry_after: seconds.
        outage: Redis is out of reach; nobody knows how many slots are free.
    """

    retry_after: float
    outage: bool = False


class Held:
    """A slot. Release it when the call has ended, however it ended.

    Attributes:
        counted: False when Redis was out of reach and the limit let the call through.
    """

    __slots__ = ("_holder", "_key", "_since", "_slots", "counted")

    def __init__(self, slots: Slots, key: str, holder: str, since: float, *, counted: bool) -> None:
        self._slots = slots
        self._key = key
        self._holder = holder
        self._since = since
        self.counted = counted

    def release(self) -> None:
        """Give it back. Never raises; without Redis the lease ends it. One round trip; harmless when repeated."""
        # Even when it was not counted: an answer that came too late may have been a slot.
        self._slots.release(self._key, self._holder, self._since)


class Slots:
    """Gives out slots.

    Args:
        reach: the way to Redis.
        on_outage: what to answer without it.
        rng: spreads hints.
        monotonic: measures how long slots are held.
    """

    def __init__(
        self,
        reach: Reach,
        *,
        on_outage: OnOutage,
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reach = reach
        self._on_outage = on_outage
        self._rng = rng or random.Random()  # noqa: S311 - spreads hints, guards nothing
        self._monotonic = monotonic
        self._acquire = reach.script(CLOCK + _ACQUIRE)
        self._release = reach.script(CLOCK + _RELEASE)

    def acquire(
        self, key: str, holder: str, *, cap: int, lease: float, turn: Turn = Turn.REJECT
    ) -> Held | Full:
        """Take a slot. One round trip.

        Args:
            key: what is limited.
            holder: names this call and no other; a holder that asks again keeps its one slot.
            cap: slots that the key has, 1 or more.
            lease: seconds after which the slot is free again whatever became of the holder.
            turn: how the caller waits when there is none.
        """
        args: list[str | int | float] = [
            holder,
            cap,
            round(lease * _MICRO),
            turn.value,
            round(MAX_HINT * _MICRO),
            self._rng.random(),
            _FIRST_HELD,
        ]
        since = self._monotonic()
        try:
            acquired, wait = self._reach.run(self._acquire, _keys(key), args)
        except OutOfReach:
            if self._on_outage is OnOutage.ADMIT:
                return Held(self, key, holder, since, counted=False)
            return Full(1 + 2 * self._rng.random(), outage=True)
        if acquired:
            return Held(self, key, holder, since, counted=True)
        return Full(max(int(wait) / _MICRO, MIN_HINT * (1 + self._rng.random())))

    def release(self, key: str, holder: str, since: float) -> None:
        """As `Held.release`.

        Args:
            key: what is limited.
            holder: who held it.
            since: when it was acquired, by the monotonic clock.
        """
        held = max(0, round((self._monotonic() - since) * _MICRO))
        with contextlib.suppress(OutOfReach):
            self._reach.run(self._release, _keys(key), [holder, held])


def _keys(key: str) -> tuple[str, str]:
    return f"{PREFIX}slots:{key}", f"{PREFIX}pace:{key}"
