"""The door for whoever makes calls: credentials with a living token, from memory wherever possible.

Promises: a caller with a living token never waits for anything but memory, not even when it is being renewed; a caller
without one waits a few seconds at most, and is then told when to ask again (`NotYet`) or that a person has to act
(`NeedsReauth`); in one process at most one thread works on a grant, however many ask; a token endpoint that hangs takes
a few threads of this keeper and none of its callers', and however many of one tenant's hang, others get theirs. A token
that was got, replaced or taken back elsewhere is noticed within seconds by whoever asks. Leaves to others: what becomes
of a call without credentials.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from hub.core.errors import HubError
from hub.integrations.auth.google_service_account import TOKEN_URL
from hub.integrations.auth.mode import Credentials
from hub.integrations.grants import store
from hub.integrations.grants.asking import Asker
from hub.integrations.grants.decision import Do, decide, serves
from hub.integrations.grants.errors import NeedsReauth, NotYet
from hub.integrations.grants.refresh import Nobody, Refresher

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random
    from typing import Any
    from uuid import UUID

    from sqlalchemy import Engine

    from hub.core.clock import Clock
    from hub.core.secret import Secret
    from hub.integrations.grants.decision import Step
    from hub.integrations.grants.holder import Holder
    from hub.integrations.grants.refresh import Listener, Seen
    from hub.net.session import GuardedSession
    from hub.vault.vault import Vault

#: How long what was read is believed without looking again.
LOOK_SECONDS = 5.0
#: How long a caller without a token waits for one.
PATIENCE_SECONDS = 3.0
#: How long one waits for a look where the answer would be "later" without it: others may have got a token meanwhile.
_GLANCE_SECONDS = 0.5
#: Nobody is told to come back later than this, or half as much again: a token may be there long before the provider's
#: rest is over.
_LONGEST_WAIT_SECONDS = 40.0
#: A token that is refused within this time of its birth is kept: a newer one would be refused as well.
TOO_YOUNG_SECONDS = 30.0
_THREADS = 32
_THREADS_FOR_ONE_HOST = 4
_MAX_SLOTS = 10_000
_POLL_SECONDS = 0.1
_SHORTEST_LOOK_SECONDS = 1.0
_FAULT_SECONDS = 2.0

log = logging.getLogger(__name__)


class Granted(NamedTuple):
    """Credentials of one call.

    Args:
        credentials: with the token as `access_token`.
        version: of the token; goes back to `Grants.rejected` when the service refuses it.
        metadata: what was captured when it was granted.
    """

    credentials: Credentials
    version: int
    metadata: Mapping[str, Any]


@dataclass(slots=True)
class _Slot:
    """What this process knows of one grant, under the settings that its holder has."""

    changed: threading.Condition
    granted: Granted | None = None
    serves_until: float = -inf
    look_at: float = -inf
    verdict: HubError | None = None
    verdict_until: float = -inf
    working: bool = False
    used_at: float = 0.0

    def serving(self, now: float) -> Granted | None:
        return self.granted if now < self.serves_until else None


class Grants:
    """One for each process, for any number of threads. Make it after a fork.

    Args:
        engine: the database.
        vault: keeps the tokens.
        session: the way out.
        clock: wall time for assertions, monotonic time for what is kept in memory.
        rng: jitter.
        owner: this process's name, written into leases.
        listener: is told when a person must act, and when calls can go on.
        patience: seconds that a caller without a token waits.
        google_token_url: where keys of Google service accounts are exchanged.
    """

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        session: GuardedSession,
        clock: Clock,
        rng: Random,
        owner: str,
        *,
        listener: Listener | None = None,
        patience: float = PATIENCE_SECONDS,
        google_token_url: str = TOKEN_URL,
    ) -> None:
        self.engine = engine
        self.vault = vault
        self.asker = Asker(session, clock, google_token_url=google_token_url)
        self.listener = listener or Nobody()
        self.rng = rng
        self.refresher = Refresher(engine, vault, self.asker, rng=rng, owner=owner, listener=self.listener)
        self._clock = clock
        self._patience = patience
        self._lock = threading.Lock()
        self._slots: dict[tuple[UUID, str], _Slot] = {}
        #: Threads at work, each counted for its host and for its tenant.
        self._busy: Counter[str | UUID] = Counter()
        self._closing = threading.Event()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="hub-grant")

    def credentials(self, holder: Holder) -> Granted:
        """Credentials with a living token.

        Raises:
            NotYet: there is none now; tells when to ask again.
            NeedsReauth: a person has to act first.
            NotFound: the integration was deleted.
        """
        begun = self._clock.monotonic()
        with self._lock:
            slot = self._slot(holder)
            while True:
                now = slot.used_at = self._clock.monotonic()
                granted = slot.serving(now)
                if granted is not None and now < slot.look_at:
                    return granted
                told = slot.verdict if now < slot.verdict_until else None
                if not slot.working and (now >= slot.look_at or (granted is None and told is None)):
                    self._begin(slot, holder)
                if granted is not None:
                    return granted
                deadline = begun + (self._patience if told is None else _GLANCE_SECONDS)
                if told is not None and not (slot.working and now < deadline):
                    raise self._again(told, slot.verdict_until - now)
                if now >= deadline or self._closing.is_set():
                    raise NotYet(
                        "A token is being got; the provider has not answered yet.", self._spread(1.0)
                    )
                # While nobody works on it, its provider or tenant has enough threads: look whether that is over.
                slot.changed.wait(min(deadline - now, inf if slot.working else _POLL_SECONDS))

    def rejected(self, holder: Holder, version: int) -> bool:
        """The service refused (401) the token of this version: have it renewed, once a version.

        Args:
            holder: the integration.
            version: as in `Granted`.

        Returns:
            True: ask for `credentials` again. False: the token is brand-new, another one would be refused as well.
        """
        with self.engine.begin() as conn:
            store.reject(conn, holder.tenant_id, holder.id, version, min_age=TOO_YOUNG_SECONDS)
            row = store.find_grant(conn, holder.tenant_id, holder.id)
        if row is not None and row.version == version and row.rejected_version != version:
            return False
        with self._lock:
            slot = self._slot(holder)
            if slot.granted is not None and slot.granted.version == version:
                slot.granted, slot.serves_until, slot.look_at = None, -inf, -inf
        return True

    def refresh(self, holder: Holder) -> None:
        """Renew now because a person asks, whatever went wrong before. Takes up to 10 s.

        Raises:
            NotYet: somebody else does it at this moment, or the provider did not answer.
            NeedsReauth: only a person can give it, or the provider refused.
            NotFound: the integration was deleted.
        """
        seen = self.refresher.look(holder)
        step = decide(seen.grant, holder, forced=True)
        if step.do is Do.STOP:
            raise NeedsReauth(step.reason)
        if step.do is Do.WAIT:
            raise NotYet("The token is being renewed at this moment.", step.seconds)
        self.refresher.renew(holder, seen.grant)
        self.forget(holder.id)
        after = self.refresher.look(holder).grant
        if after.version == seen.grant.version:
            reason = after.last_error or "Somebody else renews the token at this moment."
            raise NeedsReauth(reason) if after.state == "needs_reauth" else NotYet(reason, after.rest_left)

    def forget(self, integration_id: UUID) -> None:
        """Look at this grant anew before it is used again in this process."""
        with self._lock:
            for (one, _), slot in self._slots.items():
                if one == integration_id:
                    slot.granted, slot.verdict = None, None
                    slot.serves_until = slot.look_at = slot.verdict_until = -inf

    def close(self) -> None:
        """End; renewals under way are finished first, or what they get would be lost."""
        self._closing.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _slot(self, holder: Holder) -> _Slot:
        """Under the lock."""
        key = (holder.id, holder.asked)
        slot = self._slots.get(key)
        if slot is None:
            if len(self._slots) >= _MAX_SLOTS:
                idle = sorted((s.used_at, k) for k, s in self._slots.items() if not s.working)
                for _, old in idle[: _MAX_SLOTS // 10]:
                    del self._slots[old]
            slot = self._slots[key] = _Slot(threading.Condition(self._lock))
        return slot

    def _begin(self, slot: _Slot, holder: Holder) -> None:
        """Have a thread look at the grant, unless its provider or tenant has enough of them. Under the lock.

        A tenant may have as many as are free: half of them when it is alone, and there are some left for the next.
        """
        host = _host(holder)
        share: Counter[str | UUID] = Counter((host, holder.tenant_id))
        free = _THREADS - self._busy.total() // 2
        enough = self._busy[holder.tenant_id] >= free or self._busy[host] >= _THREADS_FOR_ONE_HOST
        if self._closing.is_set() or enough:
            return
        self._busy += share
        slot.working = True
        self._threads.submit(self._work, slot, holder, share)

    def _work(self, slot: _Slot, holder: Holder, share: Counter[str | UUID]) -> None:
        verdict: HubError | None = None
        look_in = LOOK_SECONDS
        try:
            look_in = self._settle(slot, holder)
        except HubError as error:
            verdict = error
        except SQLAlchemyError as error:
            log.warning("A grant could not be read: %s", type(error).__name__)
            verdict = NotYet("The stored token cannot be read at this moment.", self._spread(_FAULT_SECONDS))
        except Exception as error:  # noqa: BLE001 - whoever waits must be told; its text may hold a secret
            log.error("A grant could not be renewed inside the hub: %s", type(error).__name__)  # noqa: TRY400
            verdict = NotYet("The token could not be got inside the hub.", self._spread(LOOK_SECONDS))
        with self._lock:
            now = self._clock.monotonic()
            slot.verdict = verdict
            slot.verdict_until = now + (verdict.due_in if isinstance(verdict, NotYet) else LOOK_SECONDS)
            slot.look_at = now + look_in
            slot.working = False
            self._busy -= share
            slot.changed.notify_all()

    def _settle(self, slot: _Slot, holder: Holder) -> float:
        """Look, publish what serves, renew what is due, until there is nothing more to do.

        Returns:
            Seconds until the next look.
        """
        until = self._clock.monotonic() + self._patience
        renewed = False
        while True:
            seen = self.refresher.look(holder, _known(slot.granted))
            step = decide(seen.grant, holder)
            live = self._publish(slot, holder, seen)
            if step.do is Do.SERVE or (live and renewed):
                return min(LOOK_SECONDS, max(seen.grant.refresh_in, _SHORTEST_LOOK_SECONDS))
            if step.do is Do.STOP:
                if step.mark:
                    self.refresher.stop(holder, seen.grant, step.reason)
                raise NeedsReauth(step.reason)
            if step.do is Do.RENEW and not renewed:
                renewed = True
                self.refresher.renew(holder, seen.grant)
            else:
                self._wait(step, until)

    def _wait(self, step: Step, until: float) -> None:
        """Somebody else renews it: look again soon, but not for ever.

        Raises:
            NotYet: it takes too long, or the provider rests.
        """
        if step.do is Do.REST:
            raise NotYet(step.reason, self._spread(step.seconds))
        left = until - self._clock.monotonic()
        if left <= 0 or self._closing.is_set():
            raise NotYet("The token is being renewed; the provider has not answered yet.", self._spread(1.0))
        self._closing.wait(min(left, self._spread(_POLL_SECONDS)))

    def _publish(self, slot: _Slot, holder: Holder, seen: Seen) -> bool:
        """Give a living token to everybody who waits; take one back that lives no more."""
        live = serves(seen.grant, holder) and seen.token is not None
        granted = None
        if live and seen.token is not None:
            secrets = {**holder.secrets, "access_token": seen.token}
            sign = holder.mode.sign
            http = None if sign is None else sign(holder.parameters, secrets)
            credentials = Credentials(holder.parameters["mode"], holder.parameters, secrets, http)
            granted = Granted(credentials, seen.grant.version, seen.grant.metadata)
        with self._lock:
            slot.granted = granted
            slot.serves_until = self._clock.monotonic() + seen.grant.serves_for if live else -inf
            if live:
                slot.changed.notify_all()
        return live

    def _again(self, told: HubError, left: float) -> HubError:
        """An error of one's own: a traceback that several threads write to grows for ever."""
        if isinstance(told, NotYet):
            return NotYet(told.detail, max(min(left, self._spread(_LONGEST_WAIT_SECONDS)), 0.1))
        return type(told)(told.detail)

    def _spread(self, seconds: float) -> float:
        """So much or a little more: those who wait do not come back all at once."""
        return seconds * (1 + 0.5 * self.rng.random())


def _known(granted: Granted | None) -> tuple[int, Secret] | None:
    return None if granted is None else (granted.version, granted.credentials.secrets["access_token"])


def _host(holder: Holder) -> str:
    url = str(holder.parameters.get("token_url") or holder.base_url)
    return urlsplit(url).netloc
