"""Rates over all workers: the generic cell rate algorithm (ITU-T I.371) on several buckets at once, in one script.

Promises
- A call takes its cost from every bucket or from none. In any second a bucket of `limit` calls per `period` admits
  at most `limit / period + burst` (in units of cost; a single cost over `burst` is admitted when the bucket is full,
  and paid off before the next call).
- Those who are denied are told moments to come back that are spread out at the bucket's own rate, so a thousand
  waiting rows do not come at once. Admission never looks at what was told: callers that vanish hold nobody up for
  longer than `MAX_HINT`, and a bucket that stood full forgets what it told.
- Every `take` and every `peek` is one round trip, whatever the number of buckets.

How the queue works: each bucket keeps two more theoretical arrival times, as if everyone who waits had been admitted
already. `called` counts those who came when they were told and found the bucket empty (they were late, or someone was
quicker); `queue` counts everybody, and is never before `called`. So who was called stays in front of new callers.

Who comes from the ledger is late by some tens of milliseconds, and what a bucket gains meanwhile is lost above its
burst. So waiting callers bring patience (`take`): as much as the ledger's lateness keeps even a burst of 1 fully used.
Costs near the burst wait for a quiet moment: give such a bucket a larger burst.

Leaves to others: which buckets there are (keys begin with the tenant's id), and where a caller waits. Needs one Redis,
not a cluster: the buckets of a call may have any keys.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.limits.reach import CLOCK, PREFIX, OnOutage, OutOfReach
from hub.limits.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.limits.reach import Reach

#: Seconds; nobody in a queue is told to stay away for longer, so that a raised limit is noticed.
MAX_HINT = 600.0
#: Seconds; longer pauses are cut.
MAX_PAUSE = 86_400.0
#: Calls a second that one bucket can count: its smallest unit is a microsecond.
MAX_RATE = 100_000.0

_MICRO = 1_000_000
_ALL_PAUSES = f"{PREFIX}pauses"
#: Microseconds between those who wait for the end of a pause in a bucket that has no rate.
_UNRATED_STEP = 20_000

# KEYS: for each bucket its state and its pause.
# ARGV: turn, patience, cap of the hint, jitter in [0, 1), then for each bucket: what the call takes from it, the depth
# (both 0 without a rate), one step of its queue, and after how long at full it forgets its queue. All in microseconds.
_TAKE = """
local turn, patience, cap, jitter = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local buckets, go, binding, slot = {}, now, 0, now
local function whole(number) return string.format('%.0f', number) end
local function keep(i, last) redis.call('PEXPIRE', KEYS[2 * i - 1], whole(math.ceil((last - now) / 1000) + 60000)) end
for i = 1, #KEYS / 2 do
  local state = redis.call('HMGET', KEYS[2 * i - 1], 'tat', 'called', 'queue')
  local last = tonumber(state[1] or now)
  local b = {
    paused = tonumber(redis.call('GET', KEYS[2 * i]) or 0),
    tat = math.max(last, now),
    called = tonumber(state[2] or 0),
    queue = tonumber(state[3] or 0),
    take = tonumber(ARGV[4 * i + 1]),
    depth = tonumber(ARGV[4 * i + 2]),
    step = tonumber(ARGV[4 * i + 3]),
  }
  b.stale = now - math.max(last, b.paused) > tonumber(ARGV[4 * i + 4])
  buckets[i] = b
  local ready = math.max(b.tat + b.take - b.depth, b.paused)
  if ready > now then
    go = math.max(go, ready)
    -- As if all who wait before this one had been admitted.
    b.virtual = math.max(b.tat, b.paused, b.called)
    if turn ~= 'called' then b.virtual = math.max(b.virtual, b.queue) end
    local at = math.max(b.virtual + b.take - b.depth, b.paused)
    if at > slot then binding, slot = i, at end
  end
end
if go <= now or go <= now + patience and (turn == 'called' or slot <= now + patience) then
  for i, b in ipairs(buckets) do
    if turn ~= 'peek' and b.take > 0 then
      -- Counted when the call is made, not now: else those who wait and those who come then would be made together.
      local tat = math.max(b.tat, go) + b.take
      redis.call('HSET', KEYS[2 * i - 1], 'tat', whole(tat))
      if b.stale then redis.call('HDEL', KEYS[2 * i - 1], 'called', 'queue') end
      keep(i, math.max(tat, b.called, b.queue))
    end
  end
  return {0, whole(go - now)}
end
local wait = slot - now
if turn == 'called' or turn == 'queue' then
  if wait > cap then
    -- The queue is full: anywhere in its second half, and no place is taken.
    wait = cap * (1 + jitter) / 2
  else
    local b = buckets[binding]
    local last = b.virtual + b.step
    redis.call('HSET', KEYS[2 * binding - 1], turn, whole(last))
    keep(binding, math.max(last, b.queue))
  end
end
return {binding, whole(wait)}
"""

# KEYS: the pauses, then the list of all of them. ARGV: how long, then their names.
_PENALISE = """
local ends = now + tonumber(ARGV[1])
local all = KEYS[#KEYS]
for i = 1, #KEYS - 1 do
  local key = KEYS[i]
  redis.call('ZADD', all, 'GT', string.format('%.0f', ends), ARGV[i + 1])
  if ends > tonumber(redis.call('GET', key) or 0) then
    -- Kept for a minute more: a bucket that was paused did not stand idle.
    local kept = string.format('%.0f', math.ceil(ARGV[1] / 1000) + 60000)
    redis.call('SET', key, string.format('%.0f', ends), 'PX', kept)
  end
end
redis.call('ZREMRANGEBYRANK', all, 0, -10001)
local last = redis.call('ZREVRANGE', all, 0, 0, 'WITHSCORES')[2]
redis.call('PEXPIRE', all, string.format('%.0f', math.ceil((last - now) / 1000) + 1000))
return 1
"""

# KEYS: the list of all pauses. ARGV: how many to tell of. Names and the microseconds that are left.
_PAUSES = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local found = redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')
for i = 2, #found, 2 do found[i] = string.format('%.0f', found[i] - now) end
return found
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One limit.

    Args:
        key: what is limited; the same text with another limit is another bucket under the same pauses.
        limit: calls per `period`; None counts nothing and only obeys `penalise`.
        period: seconds.
        burst: calls that may come at once after a quiet time; 1 or more.

    Raises:
        ValueError: a number is out of range.
    """

    key: str
    limit: float | None
    period: float = 1.0
    burst: int = 1

    def __post_init__(self) -> None:
        if self.limit is None:
            return
        if not (0 < self.limit < math.inf and 0 < self.period < math.inf and self.burst >= 1):
            raise ValueError("A limit and its period are above 0, a burst is 1 or more.")
        if self.limit / self.period > MAX_RATE:
            raise ValueError(f"A limit is at most {MAX_RATE:,.0f} calls a second.")


@dataclass(frozen=True, slots=True)
class Taken:
    """The call may be made.

    Args:
        wait: seconds to let pass before the call is made; 0 without patience.
        counted: False when Redis was out of reach and the limits let calls through.
    """

    wait: float = 0.0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Denied:
    """The call may not be made now; nothing was taken.

    Args:
        retry_after: seconds, above 0.
        bucket: the key of the bucket that makes it wait longest; None when Redis is out of reach.
    """

    retry_after: float
    bucket: str | None


class RateLimiter:
    """Takes calls from buckets.

    Args:
        reach: the way to Redis.
        on_outage: what to answer without it.
        rng: spreads hints.
    """

    def __init__(self, reach: Reach, *, on_outage: OnOutage, rng: random.Random | None = None) -> None:
        self._reach = reach
        self._on_outage = on_outage
        self._rng = rng or random.Random()  # noqa: S311 - spreads hints, guards nothing
        self._take = reach.script(CLOCK + _TAKE)
        self._penalise = reach.script(CLOCK + _PENALISE)
        self._pauses = reach.script(CLOCK + _PAUSES)

    def take(
        self,
        buckets: Sequence[Bucket],
        cost: int = 1,
        *,
        turn: Turn = Turn.REJECT,
        patience: float = 0.0,
        max_hint: float = MAX_HINT,
    ) -> Taken | Denied:
        """Take a call from all buckets, or from none. One round trip; none without buckets.

        Args:
            buckets: all that bound this call.
            cost: 1 or more.
            turn: how the caller waits when it is denied.
            patience: seconds; a call that could be made within them is taken now, to be made after `Taken.wait`.
            max_hint: seconds; bounds what a waiting caller is told.
        """
        return self._ask(buckets, cost, turn.value, patience, max_hint)

    def peek(self, buckets: Sequence[Bucket], cost: int = 1) -> Taken | Denied:
        """What `take` would say now. Changes nothing; one round trip."""
        return self._ask(buckets, cost, "peek", 0.0, MAX_HINT)

    def penalise(self, keys: Sequence[str], seconds: float) -> bool:
        """Admit nothing from these buckets for a while: a provider's Retry-After. One round trip.

        A pause is only ever made longer.

        Args:
            keys: of buckets; every rate under such a key is paused.
            seconds: at most `MAX_PAUSE`; nothing happens for 0 and less.

        Returns:
            False when Redis is out of reach.
        """
        if not keys or not seconds > 0:
            return True
        pause = math.ceil(min(seconds, MAX_PAUSE) * _MICRO)
        try:
            self._reach.run(self._penalise, [*(_pause_key(key) for key in keys), _ALL_PAUSES], [pause, *keys])
        except OutOfReach:
            return False
        return True

    def pauses(self, limit: int) -> dict[str, float]:
        """The pauses of all workers: seconds that are left, by key, the longest first. One round trip.

        Args:
            limit: how many at most.

        Returns:
            None of them when Redis is out of reach.
        """
        try:
            found = self._reach.run(self._pauses, [_ALL_PAUSES], [limit])
        except OutOfReach:
            return {}
        return {_text(name): int(left) / _MICRO for name, left in zip(found[::2], found[1::2], strict=True)}

    def _ask(
        self, buckets: Sequence[Bucket], cost: int, turn: str, patience: float, max_hint: float
    ) -> Taken | Denied:
        distinct = list(dict.fromkeys(buckets))
        if not distinct:
            return Taken()
        keys: list[str] = []
        args: list[str | int | float] = [
            turn,
            math.floor(patience * _MICRO),
            math.ceil(max_hint * _MICRO),
            self._rng.random(),
        ]
        for bucket in distinct:
            keys += (_state_key(bucket), _pause_key(bucket.key))
            args += _amounts(bucket, cost)
        try:
            binding, wait = self._reach.run(self._take, keys, args)
        except OutOfReach:
            if self._on_outage is OnOutage.ADMIT:
                return Taken(counted=False)
            return Denied(1 + 2 * self._rng.random(), None)
        seconds = int(wait) / _MICRO
        return Denied(seconds, distinct[binding - 1].key) if binding else Taken(seconds)


def _amounts(bucket: Bucket, cost: int) -> tuple[int, int, int, int]:
    """What the script reads of a bucket, in microseconds; rounded so that never too many are admitted."""
    if bucket.limit is None:
        return 0, 0, _UNRATED_STEP, 0
    one = bucket.period * _MICRO / bucket.limit
    taken = math.ceil(cost * one)
    depth = max(math.floor(bucket.burst * one), taken)
    return taken, depth, taken, math.ceil(_MICRO + 2 * one)


def _state_key(bucket: Bucket) -> str:
    # The rate is part of the key: a changed limit starts a bucket of its own and inherits no debt in other units.
    # `10` and `10.0` are one rate.
    rate = f"{float(bucket.limit or 0)}/{float(bucket.period)}/{bucket.burst}"
    return f"{PREFIX}rate:{rate}:{bucket.key}"


def _pause_key(key: str) -> str:
    return f"{PREFIX}pause:{key}"


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode()
