"""What transports share that speak over connections of their own: where a call goes, how it ends, what is kept.

Promises: whatever ends a call becomes one outcome; nothing is dialled but through `hub.net`; an idle connection is kept
in the session's pool, and only for its very key.
"""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, cast

from hub.net.cancellation import Cancellation
from hub.net.dial import dial, secure
from hub.net.faults import failure
from hub.net.outcome import ErrorClass, Outcome, safe_text
from hub.net.sockets import Deadline, TlsContext
from hub.net.trace import Phase, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from hub.integrations.transports.interface import Caps
    from hub.net.identity import TlsIdentity
    from hub.net.policy import AddressPolicy
    from hub.net.pool import ConnectionPool
    from hub.net.session import GuardedSession
    from hub.net.sockets import PlainSocket, TlsSocket

Tls = Literal["verify", "require", "disable"]
_JSON = "application/json"
_CUT_OFF = frozenset({ErrorClass.RESET, ErrorClass.PROTOCOL})


class Verdict(Exception):
    """A call ended, and this is why: the service's own error, or ours about its answer.

    Args:
        error_class: for the outcome.
        message: a sentence for a person.
        headers: short facts about the error, such as `sqlstate`.
        details: what else the service said; becomes the body.
        status: of an answer over HTTP.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, str | int] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.error_class = error_class
        self.message = message
        self.headers = dict(headers or {})
        self.details = dict(details or {})
        self.status = status


@dataclass(frozen=True, slots=True)
class Way:
    """Where one call goes, and its bounds.

    Args:
        policy: judges addresses.
        host: DNS name or IP address, without brackets.
        port: TCP port.
        usual_port: the protocol's standard one.
        context: for TLS; None is in the clear.
        deadline: over everything.
        cancellation: ends it.
        trace: what is noted on the way.
    """

    policy: AddressPolicy
    host: str
    port: int
    usual_port: int
    context: ssl.SSLContext | None
    deadline: Deadline
    cancellation: Cancellation
    trace: Trace

    def dial(self) -> PlainSocket:
        """A connection; not secured yet."""
        return dial(
            self.policy,
            self.host,
            self.port,
            deadline=self.deadline,
            usual_ports=(self.usual_port,),
            cancellation=self.cancellation,
            trace=self.trace,
        )

    def wrap_socket(self, sock: PlainSocket, server_hostname: str | None = None, **_: Any) -> TlsSocket:
        """The handshake. Named as in `ssl`, so that a library that starts TLS by itself takes this for its context."""
        assert self.context is not None
        return secure(
            sock,
            server_hostname or self.host,
            context=self.context,
            deadline=self.deadline,
            trace=self.trace,
        )

    def afterwards(self, seconds: float) -> Way:
        """A way for tidying up, when this call is over."""
        return replace(self, deadline=Deadline(seconds), cancellation=Cancellation(), trace=Trace())


def tls_for(
    session: GuardedSession, identity: TlsIdentity | None, tls: Tls, *, alpn: tuple[str, ...] = ()
) -> ssl.SSLContext | None:
    """The TLS context of an integration; None for a connection in the clear.

    Args:
        session: knows the usual authorities.
        identity: of the integration.
        tls: `require` verifies nothing and shows no client certificate.
        alpn: protocols to offer. None by default: servers that know them end the handshake at a stranger's.
    """
    if tls == "disable":
        return None
    if tls == "require":
        return _unverified()
    return session.context_of(identity, alpn=alpn)


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    made = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def concluded(work: Callable[[], bytes], trace: Trace, deadline: Deadline, caps: Caps) -> Outcome:
    """Do a call's work; whatever ends it becomes its outcome.

    Args:
        work: returns the answer, a JSON text.
        trace: where the work notes how far it has come.
        deadline: the call's.
        caps: its other bounds.
    """
    begun = time.perf_counter()
    try:
        body = work()
        outcome = Outcome(None, None, headers={"content-type": _JSON}, body=body)
    except Verdict as verdict:
        # What a library makes of a connection that was cut off is not the cause.
        lost = caps.cancellation.cancelled or (deadline.over and verdict.error_class in _CUT_OFF)
        outcome = (
            failure(verdict, trace, deadline=deadline, cancellation=caps.cancellation)
            if lost
            else _outcome_of(verdict, caps.max_bytes)
        )
    except Exception as error:  # noqa: BLE001 - a transport never raises for what the outside does
        outcome = failure(error, trace, deadline=deadline, cancellation=caps.cancellation)
    outcome.timings, outcome.peer = trace.timings, trace.peer
    outcome.timings.total_ms = (time.perf_counter() - begun) * 1000
    return outcome


def _outcome_of(verdict: Verdict, max_bytes: int) -> Outcome:
    headers = {name: safe_text(value) for name, value in verdict.headers.items()}
    body = b""
    if verdict.details:
        headers["content-type"] = _JSON
        body = json.dumps({"error": verdict.details}, ensure_ascii=False).encode("utf-8", "replace")
    return Outcome(
        verdict.status,
        verdict.error_class,
        safe_text(verdict.message),
        headers=headers,
        body=body[:max_bytes],
        truncated=len(body) > max_bytes,
    )


def too_large(max_bytes: int) -> Verdict:
    """The fault of an answer over the cap."""
    return Verdict(ErrorClass.TOO_LARGE, f"The answer is longer than {max_bytes} bytes.")


class Keepable(Protocol):
    """A connection with its login, used by one call at a time."""

    sock: PlainSocket

    @property
    def reusable(self) -> bool:
        """Open, idle and in step."""

    def close(self) -> None:
        """Close it; never raises."""


K = TypeVar("K", bound=Keepable)


class Idle(Generic[K]):
    """The idle connections of one integration and login.

    Args:
        pool: of everything that is idle; it closes them after a minute.
        key: what they are kept under.
    """

    def __init__(self, pool: ConnectionPool, key: Hashable) -> None:
        self._pool = pool
        self._key = key

    def take(self, way: Way) -> K | None:
        """One that belongs to this call from now on, if there is one."""
        found = cast("K | None", self._pool.take(self._key))
        if found is None:
            return None
        try:
            found.sock.under(way.deadline, way.cancellation)
            way.trace.peer = str(found.sock.getpeername()[0])
        except OSError:  # it ended meanwhile
            found.close()
            return None
        except BaseException:
            found.close()
            raise
        way.trace.phase = Phase.SEND
        return found

    def give(self, kept: K) -> None:
        """Keep one whose call is over."""
        if kept.sock.release():
            kept.sock.bound(None)
            self._pool.give(self._key, cast("Any", kept))
        else:
            kept.close()
