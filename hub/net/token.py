"""Access tokens for calls that carry `Authorization: Bearer`: OAuth 2.0 client credentials (RFC 6749, 4.4).

Promises: `get` and `request` never wait; for one key at most one fetch is under way, however many ask; a
token is fetched anew at 80 % of its life while the old one still serves, and only when it is asked for; after
a fault the token endpoint is left alone for a while; a token endpoint that hangs keeps at most a few threads;
tokens and client secrets are in no log, message or `repr`. Leaves to others: who asks (a key is the caller's:
take a new one when the settings change) and what a call without a token means.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hub.core.secret import Secret
from hub.net.token_endpoint import Token, TokenFault, TokenRequest, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from hub.net.session import GuardedSession

MAX_KEYS = 10_000
REFRESH_AT = 0.8
"""Part of a token's life after which it is fetched anew."""
TOO_YOUNG_SECONDS = 10.0
"""A token refused within this time of its birth is kept: a newer one would be refused as well."""
_THREADS = 16
_THREADS_FOR_ONE_HOST = 4
_THREAD_IDLE_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    request: TokenRequest
    token: Secret | None = None
    born_at: float = 0.0
    refresh_at: float = 0.0
    ends_at: float = 0.0
    fetching: bool = False
    fault: TokenFault | None = None
    faults: int = 0
    not_before: float = 0.0
    waiting: list[Callable[[TokenFault | None], None]] = field(default_factory=list)

    def usable(self, now: float) -> bool:
        return self.token is not None and now < self.ends_at

    def wants_fetch(self, now: float) -> bool:
        return not self.fetching and now >= self.not_before and (self.token is None or now >= self.refresh_at)


class TokenSource:
    """Safe for any number of threads. Make it after a fork.

    Args:
        session: the way out.
        clock: monotonic seconds.
    """

    def __init__(self, session: GuardedSession, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock
        self._entries: dict[Hashable, _Entry] = {}
        self._queue: deque[Hashable] = deque()
        self._busy: Counter[str] = Counter()
        self._threads = 0
        self._idle = 0
        self._closed = False
        self._changed = threading.Condition()

    def get(self, key: Hashable) -> str | None:
        """The token of this key, or None: then `request` it.

        Args:
            key: endpoint and version of its settings.
        """
        now = self._clock()
        with self._changed:
            entry = self._entries.get(key)
            if entry is None or not entry.usable(now) or entry.token is None:
                return None
            if entry.wants_fetch(now):
                self._fetch_soon(key, entry)
            return entry.token.reveal()

    def request(
        self, key: Hashable, request: TokenRequest, on_ready: Callable[[TokenFault | None], None]
    ) -> None:
        """Have a token fetched, unless that is under way or too soon after a fault.

        Args:
            key: as in `get`; a key stands for one and the same request.
            request: what to ask for.
            on_ready: called once, from another thread or before this returns; with None when `get` now has a
                token. It must be quick and not raise; never called after `close`.
        """
        now = self._clock()
        fault: TokenFault | None = None
        with self._changed:
            if self._closed:
                return
            entry = self._entries.get(key)
            if entry is None:
                self._make_room(now)
                entry = self._entries[key] = _Entry(request)
            if not entry.usable(now):
                if entry.fetching or now >= entry.not_before:
                    entry.waiting.append(on_ready)
                    if not entry.fetching:
                        self._fetch_soon(key, entry)
                    return
                assert entry.fault is not None
                fault = entry.fault._replace(retry_after=entry.not_before - now)
        on_ready(fault)

    def invalidate(self, key: Hashable, token: str) -> None:
        """The receiver refused this token (401); the next `get` has none, unless a newer one came meanwhile.

        Args:
            key: as in `get`.
            token: that was refused.
        """
        now = self._clock()
        refused = Secret(token)
        with self._changed:
            entry = self._entries.get(key)
            if entry is not None and entry.token == refused and now - entry.born_at >= TOO_YOUNG_SECONDS:
                entry.token = None

    def close(self) -> None:
        """Forget all tokens; fetches under way end by themselves and tell nobody."""
        with self._changed:
            self._closed = True
            self._entries.clear()
            self._queue.clear()
            self._changed.notify_all()

    def _make_room(self, now: float) -> None:
        if len(self._entries) < MAX_KEYS:
            return
        idle = [key for key, entry in self._entries.items() if not entry.fetching]
        ended = [key for key in idle if not self._entries[key].usable(now)]
        for key in ended or idle[: MAX_KEYS // 10]:
            del self._entries[key]

    def _fetch_soon(self, key: Hashable, entry: _Entry) -> None:
        """Under the lock."""
        entry.fetching = True
        self._queue.append(key)
        if self._idle < len(self._queue) and self._threads < _THREADS:
            # Without another thread the fetch waits for one that there is.
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=self._work, name="hub-token", daemon=True).start()
                self._threads += 1
        self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while (taken := self._take()) is None:
                    if self._closed or (not self._changed.wait(_THREAD_IDLE_SECONDS) and not self._queue):
                        self._idle -= 1
                        self._threads -= 1
                        return
                self._idle -= 1
            entry, host = taken
            begun = self._clock()
            fetched = ask(self._session, entry.request, entry.faults)
            with self._changed:
                self._busy[host] -= 1
                if not self._busy[host]:
                    del self._busy[host]
                self._changed.notify_all()
                waiting = [] if self._closed else _settle(entry, fetched, begun, self._clock())
                fault = entry.fault
            for on_ready in waiting:
                try:
                    on_ready(fault)
                except Exception:  # noqa: BLE001 - it must not end the thread that serves everybody
                    _log.exception("what waited for an access token failed")

    def _take(self) -> tuple[_Entry, str] | None:
        """The first fetch whose host has a thread to spare. Under the lock."""
        for index, key in enumerate(self._queue):
            entry = self._entries[key]
            host = urlsplit(entry.request.token_url).netloc
            if self._busy[host] < _THREADS_FOR_ONE_HOST:
                del self._queue[index]
                self._busy[host] += 1
                return entry, host
        return None


def _settle(
    entry: _Entry, fetched: Token | TokenFault, begun: float, now: float
) -> list[Callable[[TokenFault | None], None]]:
    """Write down what came of a fetch; return who waits for it."""
    entry.fetching = False
    if isinstance(fetched, Token):
        entry.token, entry.born_at = fetched.token, now
        # Counted from before the request: the endpoint began to count while we waited.
        entry.refresh_at = begun + fetched.life * REFRESH_AT
        entry.ends_at = begun + fetched.life - min(10.0, fetched.life / 10)
        entry.fault, entry.faults, entry.not_before = None, 0, 0.0
    else:
        entry.fault = fetched
        entry.faults += 1
        entry.not_before = now + fetched.retry_after
    waiting, entry.waiting = entry.waiting, []
    return waiting
