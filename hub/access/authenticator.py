"""From an API key's text to the principal behind it, with a short memory so that a busy key costs no query.

Promises: a revoked key stops working within 2 s, an expired one at once; unknown keys are remembered too, so
that a client with a wrong key does not reach the database at every call. Safe to use from several threads.

A busy key is looked up anew halfway through its memory, by one caller while the others go on: when all of them find it
too old at once, they queue for threads and connections, and the slowest of them wait for tens of milliseconds.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from hub.access import store
from hub.access.keys import parse_key, secret_matches
from hub.access.principal import Principal
from hub.access.scopes import known_scopes
from hub.core.clock import SystemClock
from hub.core.errors import Unauthenticated

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Connection, Engine

    from hub.access.keys import ParsedKey
    from hub.access.store import ApiKey
    from hub.core.clock import Clock

#: The longest time for which a look-up is believed, in seconds.
MEMORY_SECONDS = 2.0
#: After so many of them one caller looks it up anew.
_REFRESH_SECONDS = 1.0
#: `last_used_at` is written at most this often for one key.
USE_NOTED_EVERY = timedelta(minutes=1)

# One answer for a wrong secret, an unknown, a revoked and an expired key: a stranger learns nothing from it.
_REFUSED = "The API key is unknown, expired or revoked."


@dataclass(slots=True)
class _Memory:
    """What the last look-up of a key id found.

    Attributes:
        until: the monotonic second until which that is believed.
        renewing: whether somebody was sent to look it up anew.
    """

    row: ApiKey | None
    principal: Principal | None
    until: float
    renewing: bool = False


class Authenticator:
    """Checks API keys.

    Args:
        engine: where keys are looked up, on a connection of its own.
        clock: wall time for expiry, monotonic time for the memory.
        max_remembered: key ids kept in memory; the least recently used ones are forgotten first.
    """

    def __init__(self, engine: Engine, clock: Clock | None = None, *, max_remembered: int = 10_000) -> None:
        self._engine = engine
        self._clock = clock or SystemClock()
        self._max = max_remembered
        self._lock = threading.Lock()
        self._memory: OrderedDict[UUID, _Memory] = OrderedDict()
        self._used: dict[UUID, datetime] = {}
        self._noted: dict[UUID, datetime] = {}

    def authenticate(self, token: str) -> Principal:
        """Check a key; asks the database when the memory of it is older than 2 s, or to be renewed.

        Raises:
            Unauthenticated: it is malformed, unknown, wrong, expired or revoked.
        """
        key = parse_key(token)
        memory = self._recall(key.key_id)
        if memory is None or memory.renewing:
            memory = self._look_up(key.key_id)
        return self._judge(key, memory)

    def authenticate_from_memory(self, token: str) -> Principal | None:
        """Check a key without I/O, for callers that must not block.

        Returns:
            The principal, or None: then `authenticate` is to be called.

        Raises:
            Unauthenticated: as for `authenticate`.
        """
        key = parse_key(token)
        memory = self._recall(key.key_id)
        if memory is None:
            return None
        if (
            not memory.renewing
            and self._clock.monotonic() >= memory.until - MEMORY_SECONDS + _REFRESH_SECONDS
        ):
            memory.renewing = True
            return None
        return self._judge(key, memory)

    def flush_last_used(self, conn: Connection) -> int:
        """Write the times of use that gathered since the last call, off the request path every few seconds.

        Args:
            conn: a connection inside a transaction. When it fails, the times are kept for the next call.

        Returns:
            How many keys were written.
        """
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return 0
        try:
            written = store.touch_keys(conn, used, at_least=USE_NOTED_EVERY)
        except Exception:
            with self._lock:
                self._used = used | self._used
            raise
        return written

    def _judge(self, key: ParsedKey, memory: _Memory) -> Principal:
        row, principal = memory.row, memory.principal
        now = self._clock.now()
        if (
            row is None
            or principal is None
            or not secret_matches(key.secret, row.secret_hash)
            or row.revoked_at is not None
            or (row.expires_at is not None and row.expires_at <= now)
        ):
            raise Unauthenticated(_REFUSED)
        with self._lock:
            noted = self._noted.get(row.id)
            if noted is None or now - noted >= USE_NOTED_EVERY:
                self._noted[row.id] = self._used[row.id] = now
        return principal

    def _recall(self, key_id: UUID) -> _Memory | None:
        with self._lock:
            memory = self._memory.get(key_id)
            if memory is None or memory.until <= self._clock.monotonic():
                return None
            self._memory.move_to_end(key_id)
            return memory

    def _look_up(self, key_id: UUID) -> _Memory:
        # Taken before the query: what it read may be older than its return by as long as it took.
        until = self._clock.monotonic() + MEMORY_SECONDS
        with self._engine.connect() as conn:
            row = store.find_key(conn, key_id)
        principal = row and Principal(row.tenant_id, row.id, known_scopes(row.scopes), frozenset(row.roles))
        memory = _Memory(row, principal, until)
        with self._lock:
            self._memory[key_id] = memory
            self._memory.move_to_end(key_id)
            while len(self._memory) > self._max:
                self._memory.popitem(last=False)
        return memory
