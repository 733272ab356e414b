"""What a Python network fault means: exception and phase in, error class and sentence out."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from typing import TYPE_CHECKING

from hub.core.errors import Invalid
from hub.net.cancellation import Cancelled
from hub.net.decoding import DecodingError
from hub.net.identity import UnusableIdentity
from hub.net.outcome import ErrorClass, Outcome, safe_text
from hub.net.policy import EgressRefused
from hub.net.trace import Phase, Trace

if TYPE_CHECKING:
    from hub.net.cancellation import Cancellation
    from hub.net.sockets import Deadline

_ENDED = (
    ConnectionResetError,
    ConnectionAbortedError,
    BrokenPipeError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)
# A late deadline means a different thing in each phase: before SEND the request surely did not go out.
_LATE = {
    Phase.DNS: ErrorClass.DNS,
    Phase.CONNECT: ErrorClass.CONNECT_TIMEOUT,
    Phase.TLS: ErrorClass.CONNECT_TIMEOUT,
    Phase.SEND: ErrorClass.TIMEOUT,
    Phase.WAIT: ErrorClass.TIMEOUT,
    Phase.BODY: ErrorClass.TIMEOUT,
}


CANCELLED = (ErrorClass.CANCELLED, "The call was cancelled.")


def failure(
    error: Exception,
    trace: Trace,
    *,
    deadline: Deadline | None = None,
    cancellation: Cancellation | None = None,
) -> Outcome:
    """The outcome of a call that ended by an exception.

    Args:
        error: from `hub.net` or from a library that used its sockets.
        trace: how far the call had come.
        deadline: the call's, which tells how long it took; when it is over, that is the cause, whatever a library
            made of it.
        cancellation: the same for the call's cancellation.
    """
    if cancellation is not None and cancellation.cancelled:
        verdict = CANCELLED
    elif deadline is not None and deadline.over and not isinstance(error, (EgressRefused, Invalid)):
        verdict = classify(TimeoutError(), trace.phase)
    else:
        verdict = classify(error, trace.phase)
    if deadline is not None:
        trace.timings.total_ms = deadline.spent * 1000
    return Outcome(None, *verdict, timings=trace.timings, peer=trace.peer)


def classify(  # noqa: PLR0911 - one line a case
    error: Exception, phase: Phase
) -> tuple[ErrorClass, str]:
    """The class and a sentence without secrets; what is not a network fault is `internal`."""
    if isinstance(error, Cancelled):
        return CANCELLED
    if isinstance(error, EgressRefused):
        return ErrorClass.REFUSED_BY_POLICY, error.detail
    if isinstance(error, Invalid):
        # What only the call itself could find out: a signature that cannot be made, types that the service declares.
        return ErrorClass.INVALID_INPUT, error.detail
    if isinstance(error, UnusableIdentity):
        return ErrorClass.INTERNAL, error.detail
    if isinstance(error, DecodingError):
        return ErrorClass.PROTOCOL, str(error)
    if isinstance(error, TimeoutError) and error.errno != errno.ETIMEDOUT:
        return _LATE[phase], f"The time was over while {_doing(phase)}."
    if isinstance(error, http.client.RemoteDisconnected):
        return ErrorClass.RESET, "The other side closed the connection without an answer."
    if isinstance(error, http.client.HTTPException):
        return ErrorClass.PROTOCOL, "The answer is not valid HTTP."
    if isinstance(error, OSError):
        return _of_os_error(error, phase)
    return ErrorClass.INTERNAL, f"The call failed inside the hub ({type(error).__name__})."


def _of_os_error(  # noqa: PLR0911 - one line a case
    error: OSError, phase: Phase
) -> tuple[ErrorClass, str]:
    if phase is Phase.DNS or isinstance(error, socket.gaierror):
        return ErrorClass.DNS, f"The host name does not resolve ({safe_text(error.strerror or 'no answer')})."
    if phase is Phase.CONNECT:
        if error.errno == errno.ETIMEDOUT:
            return ErrorClass.CONNECT_TIMEOUT, "The other side did not answer the connection."
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL):
            return ErrorClass.INTERNAL, f"The hub ran out of sockets ({safe_text(error.strerror or '')})."
        return (
            ErrorClass.CONNECT_REFUSED,
            f"The connection failed ({safe_text(error.strerror or 'refused')}).",
        )
    if phase is Phase.TLS:
        return ErrorClass.TLS, f"The TLS handshake failed ({_tls_reason(error)})."
    if isinstance(error, _ENDED):
        return ErrorClass.RESET, f"The other side broke the connection while {_doing(phase)}."
    if isinstance(error, ssl.SSLError):
        return ErrorClass.PROTOCOL, f"The TLS connection failed ({_tls_reason(error)})."
    return (
        ErrorClass.RESET,
        f"The connection failed while {_doing(phase)} ({safe_text(error.strerror or '')}).",
    )


def _tls_reason(error: OSError) -> str:
    # `ssl` sets these only on errors that come from OpenSSL.
    reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or error.strerror
    return safe_text(str(reason or "connection lost")).replace("_", " ").lower()


def _doing(phase: Phase) -> str:
    return "in the TLS handshake" if phase is Phase.TLS else phase.value
