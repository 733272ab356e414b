"""Many POSTs at once on one thread: the way out for webhook fan-out, on libcurl's multi interface.

Promises: a call added is a call returned, by `poll` with its outcome or by `close` unfinished; nothing is
raised for a fault of one call; `poll` never waits longer than told. Leaves to others: retries, limits per
receiver, signing.
"""

from __future__ import annotations

import math
import time
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import certifi
import pycurl

from hub.core.errors import Invalid
from hub.net import faults
from hub.net import url as urls
from hub.net.kept import Kept
from hub.net.names import Key, Names
from hub.net.outcome import ErrorClass, Outcome, Timings
from hub.net.readiness import Readiness
from hub.net.trace import Phase
from hub.net.transfer import Call, Transfer

if TYPE_CHECKING:
    from hub.net.policy import AddressPolicy
    from hub.net.url import Target


class _Waiting(NamedTuple):
    """A call whose name is being looked up since a moment on the monotonic clock."""

    call: Call
    target: Target
    since: float


class MultiSender:
    """Sends POSTs. Everything but `wake` belongs to one thread. Make it after a fork.

    Args:
        policy: where calls may go.
        max_in_flight: calls at once.
        max_body: bytes of decoded answer that are kept; the rest is not read.
        idle_seconds: longest life of an unused connection, while `poll` is called now and then. Node, Apache
            and uvicorn close theirs after 5 s; who closes first never sends into a closing connection.
        ca_file: trusted certificates in PEM; certifi's when None.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        max_in_flight: int,
        max_body: int = 16_384,
        idle_seconds: float = 4.0,
        ca_file: str | None = None,
    ) -> None:
        self._policy = policy
        self._max_in_flight = max_in_flight
        self._max_body = max_body
        self._idle_seconds = idle_seconds
        self._ca_file = ca_file or certifi.where()
        # An endpoint's URL is checked once, not once a call.
        self._target = lru_cache(maxsize=8192)(self._check)
        self._names = Names(policy, self.wake)
        self._waiting: dict[Key, list[_Waiting]] = {}
        self._waiting_count = 0
        self._active: dict[pycurl.Curl, Transfer] = {}
        self._spare: list[Transfer] = []
        self._done: list[tuple[Call, Outcome]] = []
        self._readiness = Readiness()
        self._kept = Kept()
        self._timer_at: float | None = None
        self._multi = self._new_multi()
        self._connected = False
        self._last_used = time.monotonic()

    @property
    def in_flight(self) -> int:
        """Calls added and not yet returned."""
        return len(self._active) + len(self._done) + self._waiting_count

    def add(self, call: Call) -> None:
        """Take a call; it starts with the next `poll`.

        Raises:
            RuntimeError: `max_in_flight` calls are in flight; nothing was taken.
        """
        if self.in_flight >= self._max_in_flight:
            raise RuntimeError("the sender is full; look at in_flight before add")
        try:
            target = self._target(call.url)
        except Invalid as error:
            self._reject(call, ErrorClass.REFUSED_BY_POLICY, error.detail)
            return
        if target.address is not None:
            self._start(call, target, None)
            return
        now = time.monotonic()
        key = (target.host, target.port)
        addresses = self._names.addresses(key, now)
        if addresses is not None:
            self._start(call, target, addresses)
        else:
            self._waiting.setdefault(key, []).append(_Waiting(call, target, now))
            self._waiting_count += 1

    def poll(self, timeout: float) -> list[tuple[Call, Outcome]]:
        """Drive the calls and return those that ended.

        Args:
            timeout: seconds to wait for one to end, for a `wake`, or for nothing; 0 only looks.
        """
        end = time.monotonic() + timeout
        woken = False
        while True:
            now = self._run_timer()
            self._collect()
            until = min(end, self._timer_at or end, self._end_late_lookups(now))
            wait = 0.0 if self._done or woken else max(until - now, 0.0)
            rung, ready = self._readiness.wait(wait)
            for descriptor, action in ready:
                self._multi.socket_action(descriptor, action)
            if rung:
                woken = True
                self._start_resolved()
            self._collect()
            if self._done or woken or time.monotonic() >= end:
                break
        self._close_idle()
        done, self._done = self._done, []
        return done

    def wake(self) -> None:
        """End the present or the next `poll` early; from any thread."""
        self._readiness.ring()

    def close(self) -> list[Call]:
        """Abort; return the calls whose outcome was not returned. Their requests may have arrived or not."""
        unfinished = [call for call, _ in self._done]
        unfinished += [waiting.call for calls in self._waiting.values() for waiting in calls]
        self._done = []
        self._waiting.clear()
        self._waiting_count = 0
        for curl, transfer in self._active.items():
            self._multi.remove_handle(curl)
            if transfer.call is not None:
                unfinished.append(transfer.call)
            transfer.unload()
            self._spare.append(transfer)
        self._active.clear()
        self._multi.close()
        for transfer in self._spare:
            transfer.curl.close()
        self._spare.clear()
        self._readiness.close()
        return unfinished

    def _new_transfer(self) -> Transfer:
        return Transfer(
            self._policy,
            max_body=self._max_body,
            idle_seconds=self._idle_seconds,
            ca_file=self._ca_file,
            on_socket=self._new_socket,
            kept=self._kept,
        )

    def _new_socket(self, descriptor: int) -> None:
        # The number may be that of an idle connection which libcurl has closed since.
        self._readiness.forget((descriptor,))
        self._kept.opened(descriptor)

    def _new_multi(self) -> pycurl.CurlMulti:
        multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_MAXCONNECTS, self._max_in_flight)
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._readiness.follow)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        return multi

    def _check(self, url: str) -> Target:
        return urls.parse(self._policy.check_url(url))

    def _start(self, call: Call, target: Target, addresses: str | None, waited: float = 0.0) -> None:
        transfer = self._spare.pop() if self._spare else self._new_transfer()
        try:
            _check_lines(call.headers)
            transfer.start(call, target, addresses, waited)
        except (pycurl.error, ValueError, TypeError):
            transfer.unload()
            self._spare.append(transfer)
            # The texts of these errors may repeat a header, which may be a secret.
            self._reject(call, ErrorClass.INTERNAL, "The request could not be built.", waited)
        else:
            self._active[transfer.curl] = transfer
            self._multi.add_handle(transfer.curl)

    def _reject(self, call: Call, error_class: ErrorClass, message: str, waited: float = 0.0) -> None:
        """End a call that never reached libcurl."""
        timings = Timings(total_ms=waited * 1000)
        self._done.append((call, Outcome(None, error_class, message, timings=timings)))

    def _start_resolved(self) -> None:
        """Start, or end, the calls whose names have been looked up."""
        now = time.monotonic()
        for key, answer in self._names.finished(now):
            calls = self._waiting.pop(key, [])
            self._waiting_count -= len(calls)
            for waiting in calls:
                waited = now - waiting.since
                if isinstance(answer, str):
                    self._start(waiting.call, waiting.target, answer, waited)
                else:
                    self._reject(waiting.call, *faults.classify(answer, Phase.DNS), waited)

    def _end_late_lookups(self, now: float) -> float:
        """End the calls whose time was over before their names were known; return when the next will be."""
        soonest = math.inf
        for key in list(self._waiting):
            kept = []
            for waiting in self._waiting[key]:
                late_at = waiting.since + waiting.call.timeout
                if late_at <= now:
                    late = TimeoutError("no answer in time")
                    self._reject(waiting.call, *faults.classify(late, Phase.DNS), now - waiting.since)
                    self._waiting_count -= 1
                else:
                    soonest = min(soonest, late_at)
                    kept.append(waiting)
            if kept:
                self._waiting[key] = kept
            else:
                del self._waiting[key]
        return soonest

    def _run_timer(self) -> float:
        """Let libcurl do what is due (start calls, end late ones); return the time."""
        now = time.monotonic()
        if self._timer_at is not None and self._timer_at <= now:
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return now

    def _collect(self) -> None:
        """Move ended calls to `_done`; their handles become spare."""
        more = 1
        while more:
            more, succeeded, failed = self._multi.info_read(1000)
            for curl in succeeded:
                self._ended(curl, pycurl.E_OK, "")
            for curl, code, detail in failed:
                self._ended(curl, code, detail)

    def _ended(self, curl: pycurl.Curl, code: int, detail: str) -> None:
        transfer = self._active[curl]
        if transfer.stale:
            self._multi.remove_handle(curl)
            transfer.renew()
            self._multi.add_handle(curl)
            return
        del self._active[curl]
        self._done.append(transfer.finish(code, detail))
        self._multi.remove_handle(curl)
        self._spare.append(transfer)
        self._connected = True
        self._last_used = time.monotonic()

    def _close_idle(self) -> None:
        """Close all connections when no call has used any for `idle_seconds`.

        libcurl itself drops old connections only when it starts another call, and has no call to drop them
        all: a new multi handle is that call.
        """
        if self._connected and not self._active and time.monotonic() - self._last_used >= self._idle_seconds:
            self._multi.close()
            self._readiness.forget()
            self._timer_at = None
            self._multi = self._new_multi()
            self._connected = False

    def _on_timer(self, milliseconds: int) -> None:
        self._timer_at = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


def _check_lines(headers: list[str] | list[bytes]) -> None:
    """Refuse a line break inside a rendered header: libcurl would send it as it stands.

    Raises:
        ValueError: there is one.
    """
    if isinstance(headers[0] if headers else "", str):
        text = "\n".join(headers)  # type: ignore[arg-type]
        broken = text.count("\n") >= max(len(headers), 1) or "\r" in text or "\0" in text
    else:
        raw = b"\n".join(headers)  # type: ignore[arg-type]
        broken = raw.count(b"\n") >= len(headers) or b"\r" in raw or b"\0" in raw
    if broken:
        raise ValueError("a header line holds a line break")
