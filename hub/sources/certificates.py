"""Certificates that providers sign with (PayPal's), fetched through the guarded way out and kept in memory.

A verifier asks without waiting and is told None for one that is not at hand; who received the request then has it
fetched, outside of the event loop, and asks the verifier again. The URL comes from a stranger: the verifier has
judged its host before it asks here, and how often a stranger can make the hub call is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from hub.net.session import GuardedSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.core.clock import Clock
    from hub.net.policy import AddressPolicy

log = logging.getLogger(__name__)

_MAX_KEPT = 64
_MAX_BYTES = 65_536
_TIMEOUT_SECONDS = 5.0
#: How long a certificate is used before it is fetched again, and how long a failure is believed.
_LIFE_SECONDS = 6 * 3600.0
_FAILURE_SECONDS = 60.0
#: Calls in one minute, whoever asks.
_FETCHES_A_MINUTE = 10


class CertificateShelf:
    """The certificates of one event loop; calling it gives one that is at hand.

    Args:
        fetch: gets the bytes behind a URL, blocking; None when that fails.
        clock: monotonic time.
    """

    def __init__(self, fetch: Callable[[str], bytes | None], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: OrderedDict[str, tuple[bytes | None, float]] = OrderedDict()
        self._fetched: list[float] = []
        self._lock = asyncio.Lock()
        self._missed: str | None = None

    def __call__(self, url: str) -> bytes | None:
        """The certificate at a URL, if it is at hand."""
        pem, until = self._kept.get(url, (None, 0.0))
        if until > self._clock.monotonic():
            return pem
        self._missed = url
        return None

    def take_missed(self) -> str | None:
        """The URL that was asked for in vain since the last call of this."""
        missed, self._missed = self._missed, None
        return missed

    async def bring(self, url: str) -> None:
        """Fetch a certificate, unless that was done meanwhile or too much is fetched."""
        async with self._lock:
            now = self._clock.monotonic()
            if self._kept.get(url, (None, 0.0))[1] > now:
                return
            self._fetched = [at for at in self._fetched if now - at < 60]
            if len(self._fetched) >= _FETCHES_A_MINUTE:
                return
            self._fetched.append(now)
            pem = await run_in_threadpool(self._fetch, url)
            life = _FAILURE_SECONDS if pem is None else _LIFE_SECONDS
            self._kept[url] = (pem, self._clock.monotonic() + life)
            self._kept.move_to_end(url)
            if len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)


def guarded_fetch(policy: AddressPolicy) -> Callable[[str], bytes | None]:
    """A fetch through the guarded session, which is made when it is first needed.

    Args:
        policy: where calls may go.
    """
    sessions: list[GuardedSession] = []

    def fetch(url: str) -> bytes | None:
        if not sessions:
            sessions.append(GuardedSession(policy))
        outcome = sessions[0].call("GET", url, timeout=_TIMEOUT_SECONDS, max_body=_MAX_BYTES)
        if outcome.error_class is None:
            return outcome.body
        log.warning("A provider's certificate could not be fetched: %s", outcome.message)
        return None

    return fetch
