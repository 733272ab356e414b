"""The receiving side's view of the sources: kept in each API process, never older than a second.

Why a second and not the tenant's `config_version`: that would be asked for in each transaction, after the request was
judged, and a request that fails its check has no transaction. Half a second after a source was looked at, the next
request of it has it looked at again in the background; only one that finds it older than a second waits. A look is
one statement for all sources that are asked for meanwhile, and three when one of them changed. So a busy source
costs two statements a second, and a secret that was taken away is worth nothing after a second.

An id that does not exist is remembered likewise: asking for it costs what asking for another one costs, in time too.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from hub.core.errors import Invalid, Unavailable
from hub.core.ids import Kind, format_id
from hub.sources import store
from hub.sources.overlap import live_ids
from hub.sources.peers import read_networks
from hub.sources.verification import PROFILES, compile_verifier

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Mapping

    from sqlalchemy import Engine, Row

    from hub.core.clock import Clock
    from hub.core.secret import Secret
    from hub.sources.peers import Network
    from hub.sources.verification import Verifier
    from hub.vault.vault import Vault

log = logging.getLogger(__name__)

#: What was read longer ago is read again before it is used, seconds.
STALE_SECONDS = 1.0
#: What was read longer ago is read again while it is used, seconds.
_REFRESH_SECONDS = 0.5
#: Sources kept, and as many ids that do not exist.
_MAX_KEPT = 10_000
_MAX_WANTED = 5_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider is told when its request was accepted."""

    status: int
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Source:
    """One source, ready to receive.

    Args:
        verifier: None when what is stored cannot be read.
        signs_url: whether the signature covers the address that the provider called.
        secrets: id, text, and the Unix second at which it ends; the current ones first.
        window: of de-duplication, seconds; 0 is off.
    """

    id: uuid.UUID
    tenant_id: uuid.UUID
    version: int
    name: str
    paused: bool
    verifier: Verifier | None
    signs_url: bool
    secrets: tuple[tuple[Secret, float | None], ...]
    networks: tuple[Network, ...]
    event_type: str
    dedupe_by: str
    window: int
    answer: Answer

    def secrets_at(self, now: float) -> list[Secret]:
        """The secrets that are valid at a Unix second, the current ones first."""
        return [secret for secret, until in self.secrets if until is None or until > now]


def read_source(
    row: Row[Any], secrets: Mapping[uuid.UUID, Secret], compile_: Callable[[Any], Verifier], now: float
) -> Source:
    """A row as it is used; one that somebody spoilt by hand accepts nothing and does not stop the others."""
    verifier = None
    networks: tuple[Network, ...] = ()
    try:
        verifier = compile_(row.verifier)
        networks = read_networks(row.ip_allow_list, field="ip_allow_list")
    except (Invalid, TypeError, ValueError, KeyError, AttributeError) as error:
        verifier = None
        log.warning("Source %s is not readable (%s).", format_id(Kind.SOURCE, row.id), type(error).__name__)
    return Source(
        id=row.id,
        tenant_id=row.tenant_id,
        version=row.version,
        name=row.name,
        paused=row.status != "active",
        verifier=verifier,
        signs_url=signs_url(row.verifier),
        secrets=tuple((secrets[one], until) for one, until in live_ids(row.secrets, now) if one in secrets),
        networks=networks,
        event_type=row.event_type,
        dedupe_by=row.dedupe_by,
        window=row.dedupe_window_seconds,
        answer=Answer(row.response["status"], row.response["body"].encode(), row.response["content_type"]),
    )


def signs_url(spec: Mapping[str, Any]) -> bool:
    """Does a stored verifier's signature cover the address?"""
    profile = PROFILES.get(spec.get("profile", ""))
    return "{url}" in str(spec.get("template", "")) or (profile is not None and profile.needs_url)


class Directory:
    """The sources that one event loop serves.

    Args:
        engine: where they are read, on a connection of its own and in a thread.
        vault: opens their secrets.
        clock: monotonic time for what is kept.
        compile_: makes a verifier of what is stored.
    """

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        clock: Clock,
        *,
        compile_: Callable[[Any], Verifier] = compile_verifier,
    ) -> None:
        self._engine = engine
        self._vault = vault
        self._clock = clock
        self._compile = compile_
        self._kept: OrderedDict[uuid.UUID, tuple[Source, float]] = OrderedDict()
        self._unknown: OrderedDict[uuid.UUID, float] = OrderedDict()
        self._wanted: dict[uuid.UUID, asyncio.Future[Source | None]] = {}
        self._looking: dict[uuid.UUID, asyncio.Future[Source | None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sources")

    async def find(self, source_id: uuid.UUID) -> Source | None:
        """A source as it was at most a second ago, or None.

        Raises:
            Unavailable: the database does not answer, or too many ask.
        """
        found: Source | None = None
        if (kept := self._kept.get(source_id)) is not None:
            found, at = kept
        elif (missed := self._unknown.get(source_id)) is not None:
            at = missed
        else:
            return await self._look(source_id)
        age = self._clock.monotonic() - at
        if age >= STALE_SECONDS:
            return await self._look(source_id)
        if age >= _REFRESH_SECONDS and found is not None:
            self._look(source_id)
        return found

    async def stop(self) -> None:
        """End what is under way."""
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    def _look(self, source_id: uuid.UUID) -> asyncio.Future[Source | None]:
        pending = self._looking.get(source_id) or self._wanted.get(source_id)
        if pending is None:
            pending = asyncio.get_running_loop().create_future()
            if len(self._wanted) >= _MAX_WANTED:
                pending.set_exception(Unavailable("Too many sources are asked for; send this again."))
            else:
                self._wanted[source_id] = pending
                if self._task is None or self._task.done():
                    self._task = asyncio.create_task(self._look_until_done())
            # Nobody may be waiting; then nobody needs to be told.
            pending.add_done_callback(lambda one: one.cancelled() or one.exception())
        # One that waits and goes away must not take the others along.
        return asyncio.shield(pending)

    async def _look_until_done(self) -> None:
        while self._wanted:
            self._looking, self._wanted = self._wanted, {}
            at = self._clock.monotonic()
            known = {key: self._kept[key][0] for key in self._looking if key in self._kept}
            loop = asyncio.get_running_loop()
            try:
                found = await loop.run_in_executor(self._thread, self._load, set(self._looking), known)
            except Exception as error:  # noqa: BLE001 - everybody who waits gets an answer
                failure: Exception = error
                if isinstance(error, SQLAlchemyError):
                    failure = Unavailable(
                        f"The database does not answer ({type(error).__name__}); send this again."
                    )
                for future in self._looking.values():
                    future.set_exception(failure)
            else:
                for key, future in self._looking.items():
                    self._keep(key, found.get(key), at)
                    future.set_result(found.get(key))
            self._looking = {}

    def _keep(self, key: uuid.UUID, source: Source | None, at: float) -> None:
        if source is None:
            self._kept.pop(key, None)
            self._unknown[key] = at
            self._unknown.move_to_end(key)
            if len(self._unknown) > _MAX_KEPT:
                self._unknown.popitem(last=False)
        else:
            self._unknown.pop(key, None)
            self._kept[key] = (source, at)
            self._kept.move_to_end(key)
            if len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)

    def _load(self, ids: Collection[uuid.UUID], known: Mapping[uuid.UUID, Source]) -> dict[uuid.UUID, Source]:
        with self._engine.connect() as conn:
            versions = store.source_versions(conn, ids)
            found = {
                key: known[key] for key, v in versions.items() if key in known and known[key].version == v
            }
            changed = versions.keys() - found.keys()
            if not changed:
                return found
            rows = store.load_sources(conn, changed)
            now = self._clock.now().timestamp()
            wanted = [(row.tenant_id, one) for row in rows for one, _ in live_ids(row.secrets, now)]
            secrets = self._vault.get_many(conn, wanted)
        return found | {row.id: read_source(row, secrets, self._compile, now) for row in rows}
