"""May this process get traffic? Each part on its own, with a sentence for whoever looks.

Redis is told but does not decide: events and executions are accepted without it. The answer comes within
`DEADLINE_SECONDS`, whatever hangs, and a thousand probes that hang cost one thread.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import redis
from sqlalchemy.exc import SQLAlchemyError

from hub.api import store
from hub.core.errors import HubError
from hub.db import migrate
from hub.queue.bell import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from hub.core.settings import Settings
    from hub.vault.vault import Vault

DEADLINE_SECONDS = 2.0
#: The canary check takes a lock that all processes share, and keys do not change under a running process.
_VAULT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str
    needed: bool = True


class Readiness:
    """Looks at what the API needs.

    Args:
        engine: not the requests' pool: that one being full is load, not a reason to get no traffic.
        vault: whose canary must open.
        settings: for the Redis URL.
        clock: monotonic seconds.
    """

    def __init__(
        self, engine: Engine, vault: Vault, settings: Settings, clock: Callable[[], float] = monotonic
    ) -> None:
        url = settings.redis_url
        self._engine = engine
        self._vault = vault
        url = settings.redis_url
        self._redis = None if url is None else connect(url.get_secret_value())
        self._clock = clock
        self._head: str | None = None
        self._vault_until = float("-inf")
        self._vault_part = Part("vault", ok=False, detail="not looked at yet")
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="probe")
        self._database: asyncio.Future[list[Part]] | None = None
        self._cache: asyncio.Future[list[Part]] | None = None

    async def look(self) -> list[Part]:
        """The state of each part."""
        loop = asyncio.get_running_loop()
        # A probe that still hangs answers for the next one too.
        if self._database is None or self._database.done():
            self._database = loop.run_in_executor(self._threads, self._look_at_database)
        if self._cache is None or self._cache.done():
            self._cache = loop.run_in_executor(self._threads, self._look_at_redis)
        await asyncio.wait((self._database, self._cache), timeout=DEADLINE_SECONDS)
        late = f"no answer within {DEADLINE_SECONDS:g} s"
        database = (
            self._database.result() if self._database.done() else [Part("database", ok=False, detail=late)]
        )
        cache = (
            self._cache.result()
            if self._cache.done()
            else [Part("redis", ok=False, detail=late, needed=False)]
        )
        return [*database, *cache]

    def close(self) -> None:
        """Let the threads go; does not wait for a probe that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._redis is not None:
            self._redis.close()

    def _look_at_database(self) -> list[Part]:
        try:
            with self._engine.begin() as conn:
                store.ping(conn)
                migrations = self._look_at_migrations(conn)
                vault = [self._look_at_vault(conn)] if migrations.ok else []
        except SQLAlchemyError as error:
            return [Part("database", ok=False, detail=f"does not answer ({type(error).__name__})")]
        return [Part("database", ok=True, detail="answers"), migrations, *vault]

    def _look_at_migrations(self, conn: Connection) -> Part:
        if self._head is None:
            self._head = migrate.head()
        current = migrate.current(conn)
        if current == self._head:
            return Part("migrations", ok=True, detail=f"at {current}")
        return Part(
            "migrations",
            ok=False,
            detail=f"at {current or 'none'}, this version needs {self._head}: run `hub migrate`",
        )

    def _look_at_vault(self, conn: Connection) -> Part:
        if self._clock() >= self._vault_until:
            try:
                self._vault.check(conn)
            except HubError as error:
                return Part("vault", ok=False, detail=error.detail)
            self._vault_part = Part("vault", ok=True, detail="the canary opens")
            self._vault_until = self._clock() + _VAULT_SECONDS
        return self._vault_part

    def _look_at_redis(self) -> list[Part]:
        if self._redis is None:
            return [Part("redis", ok=False, detail="HUB_REDIS_URL is not set", needed=False)]
        try:
            self._redis.ping()
        except redis.RedisError as error:
            return [Part("redis", ok=False, detail=f"does not answer ({type(error).__name__})", needed=False)]
        return [Part("redis", ok=True, detail="answers", needed=False)]
