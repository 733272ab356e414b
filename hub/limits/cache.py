"""Answers that are kept, and one call for many equal ones that are made at the same time.

Promises
- A look is one round trip, whether it finds the answer, makes the caller the leader or finds another at work.
- At most one leader a key, over all workers and threads; one that vanishes leads until its lease ends, one that fails
  hands over at once. Whoever led too long may still put its answer.
- Without Redis, every look is a miss and every caller makes its own call.
- An answer over the cap is not kept, and the key remembers that for a while: equal calls then run side by side
  instead of one after the other.

Leaves to others: what may be kept (safe operations, successes) and what a key is made of; see `cache_key`.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.limits.reach import PREFIX, OutOfReach

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from hub.limits.reach import Reach

#: Bytes of a value, before it is compressed, that are kept unless the caller says more.
MAX_BYTES = 1_048_576

_COMPRESS_FROM = 1024
#: A smaller saving is not worth the work of undoing it at each hit.
_WORTHWHILE = 0.9
_PLAIN, _PACKED, _OVERSIZE = b"p", b"z", b"o"
_OVERSIZE_MS = 60_000
_FIRST_POLL, _SLOWEST_POLL = 0.01, 0.2

# KEYS: value, claim. ARGV: owner, lease in milliseconds ('' only looks).
_LOOK = """
local value = redis.call('GET', KEYS[1])
if value then return {'hit', value} end
if ARGV[2] == '' then return {'miss'} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'lead'} end
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
  return {'lead'}
end
return {'busy', redis.call('PTTL', KEYS[2])}
"""

# KEYS: value, claim. ARGV: owner, value ('' for none), its milliseconds.
_FINISH = """
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """The answer is known."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Lead:
    """The caller makes the call, then puts its answer or releases the key.

    Args:
        alone: nobody else leads. False without Redis and for answers that are too large to be kept.
    """

    alone: bool = True


@dataclass(frozen=True, slots=True)
class Busy:
    """Another caller is making this call.

    Args:
        retry_after: seconds after which to look again; grows with the time that the leader has taken.
    """

    retry_after: float


def cache_key(tenant: UUID, *parts: Any) -> str:
    """The key of an answer: equal for equal parts, different for everything else, never shared by tenants.

    Args:
        tenant: whose answer it is.
        parts: JSON values: integration, its version, operation, input … `1` and `1.0` are different; the order of an
            object's members does not matter.

    Raises:
        ValueError: a part holds a number that JSON has not (NaN, infinity).
        TypeError: a part is not a JSON value.
    """
    digest = hashlib.sha256()
    for part in parts:
        text = json.dumps(part, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
        digest.update(len(text).to_bytes(8))
        digest.update(text)
    return f"{tenant.hex}:{digest.hexdigest()}"


class ResponseCache:
    """Keeps answers for all workers.

    Args:
        reach: the way to Redis.
        max_bytes: of a value, before it is compressed.
        rng: spreads hints.
        sleep: how `wait` passes the time.
    """

    def __init__(
        self,
        reach: Reach,
        *,
        max_bytes: int = MAX_BYTES,
        rng: random.Random | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._reach = reach
        self._max_bytes = max_bytes
        self._rng = rng or random.Random()  # noqa: S311 - spreads hints, guards nothing
        self._sleep = sleep
        self._look = reach.script(_LOOK)
        self._finish = reach.script(_FINISH)

    def get(self, key: str) -> bytes | None:
        """The answer, or None. Claims nothing; one round trip."""
        found = self._ask(key, "", "")
        return found.value if isinstance(found, Hit) else None

    def claim(self, key: str, owner: str, lease: float) -> Hit | Lead | Busy:
        """The answer, or the leadership, or word that another leads. One round trip.

        Args:
            key: from `cache_key`.
            owner: names this call and no other; claiming again renews the lease.
            lease: seconds that the call may take; somebody else leads after that.
        """
        found = self._ask(key, owner, str(max(1, round(lease * 1000))))
        if isinstance(found, int):
            # As long again as the leader has taken until now: few looks at long calls, quick ones at short calls.
            waited = max(lease - found / 1000, 0.1)
            return Busy(min(waited * (0.5 + self._rng.random()), max(found / 1000, 0.05)))
        return found

    def wait(self, key: str, owner: str, lease: float, patience: float) -> Hit | Lead | Busy:
        """As `claim`, but stay in the thread for a while when another leads.

        Args:
            key: from `cache_key`.
            owner: names this call and no other.
            lease: seconds that the call may take.
            patience: seconds, at most; one round trip every 10 ms at first, every 200 ms later.
        """
        pause, waited = _FIRST_POLL, 0.0
        while isinstance(found := self.claim(key, owner, lease), Busy) and waited < patience:
            nap = min(pause * (0.5 + self._rng.random()), patience - waited)
            self._sleep(nap)
            waited += nap
            pause = min(pause * 1.5, _SLOWEST_POLL)
        return found

    def put(self, key: str, value: bytes, ttl: float, *, owner: str = "") -> bool:
        """Keep an answer, and end the owner's leadership. One round trip.

        Args:
            key: from `cache_key`.
            value: the answer.
            ttl: seconds, above 0.
            owner: who leads; empty for an answer that nobody claimed.

        Returns:
            False when it was not kept: too large, or Redis is out of reach.
        """
        milliseconds = max(1, round(ttl * 1000))
        if len(value) > self._max_bytes:
            self._end(key, owner, _OVERSIZE, min(milliseconds, _OVERSIZE_MS))
            return False
        return self._end(key, owner, _packed(value), milliseconds)

    def release(self, key: str, owner: str) -> None:
        """The call failed, or its answer is not to be kept: the next one leads. Never raises; one round trip."""
        self._end(key, owner, b"", 0)

    def _end(self, key: str, owner: str, stored: bytes, milliseconds: int) -> bool:
        try:
            self._reach.run(self._finish, _keys(key), [owner, stored, milliseconds])
        except OutOfReach:
            return False
        return True

    def _ask(self, key: str, owner: str, lease: str) -> Hit | Lead | int:
        """An int is the milliseconds that another's claim still has."""
        try:
            kind, *rest = self._reach.run(self._look, _keys(key), [owner, lease])
        except OutOfReach:
            return Lead(alone=False)
        if kind == b"busy":
            return int(rest[0])
        if kind == b"hit":
            value = self._unpacked(rest[0])
            return Lead(alone=False) if value is None else Hit(value)
        return Lead()

    def _unpacked(self, stored: bytes) -> bytes | None:
        """None for an answer that was too large, and for what this version of the hub did not write."""
        kind, body = stored[:1], stored[1:]
        if kind == _PLAIN:
            return body
        if kind != _PACKED:
            return None
        reader = zlib.decompressobj()
        try:
            value = reader.decompress(body, self._max_bytes)
        except zlib.error:
            return None
        return value if reader.eof else None


def _packed(value: bytes) -> bytes:
    if len(value) >= _COMPRESS_FROM:
        smaller = zlib.compress(value, 1)
        if len(smaller) < len(value) * _WORTHWHILE:
            return _PACKED + smaller
    return _PLAIN + value


def _keys(key: str) -> tuple[str, str]:
    return f"{PREFIX}cache:{key}", f"{PREFIX}claim:{key}"
