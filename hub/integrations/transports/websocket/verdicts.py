"""What the end of a session means: an error class and a sentence without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus, WebSocketException

from hub.integrations.transports.websocket.collecting import FullError
from hub.integrations.transports.websocket.conversation import (
    BrokenOffError,
    Closed,
    OverCapError,
    SilentError,
    UnansweredError,
)
from hub.integrations.transports.websocket.login import NotKnownError
from hub.net import faults
from hub.net.outcome import ErrorClass, classify_status, safe_text, status_message
from hub.net.signed import NotSignedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.net.trace import Phase

Verdict = tuple[ErrorClass | None, str]

NORMAL = frozenset({1000, 1001, 1005})
# RFC 6455, 7.4.1, and the IANA WebSocket Close Code registry (1012 to 1014).
_CLASSES = {
    1001: ErrorClass.RESET,
    1012: ErrorClass.RESET,
    1013: ErrorClass.PROVIDER_BUSY,
    1014: ErrorClass.RESET,
}
_STATUSES = {401: ErrorClass.UNAUTHORIZED, 429: ErrorClass.RATE_LIMITED}


class LoginRefusedError(Exception):
    """The service answered the login message with a refusal."""


def of_close(closed: Closed, meanings: Mapping[int, str], *, expected: bool, begun: bool) -> Verdict:
    """What it means that the service closed the session.

    Args:
        closed: how.
        meanings: of the service's own codes.
        expected: a normal close is what the session waits for.
        begun: messages had come, so it is not sure that nothing was done.
    """
    code = closed.code
    reason = f": {safe_text(closed.reason)}" if closed.reason else ""
    meaning = meanings.get(code)
    if meaning == "ok" or (meaning is None and expected and code in NORMAL):
        return None, ""
    error_class = ErrorClass(meaning) if meaning else _CLASSES.get(code, ErrorClass.PROVIDER_ERROR)
    if begun and not meaning and error_class is ErrorClass.PROVIDER_BUSY:
        error_class = ErrorClass.RESET
    early = " before the session had what it waits for" if code in NORMAL else ""
    return error_class, f"The service closed the session with code {code}{early}{reason}."


def of_fault(error: Exception, phase: Phase) -> Verdict:  # noqa: PLR0911 - one line a case
    """What any other end means; what is not a fault of the outside is `internal`."""
    if isinstance(error, (OverCapError, FullError)):
        return ErrorClass.TOO_LARGE, "The service sent more than the call may receive."
    if isinstance(error, LoginRefusedError):
        return ErrorClass.UNAUTHORIZED, "The service refused the login message."
    if isinstance(error, (NotKnownError, NotSignedError)):
        return ErrorClass.INTERNAL, str(error)
    if isinstance(error, BrokenOffError):
        return (
            ErrorClass.RESET,
            "The other side broke the connection without closing the session (code 1006).",
        )
    if isinstance(error, UnansweredError):
        return ErrorClass.RESET, "The other side closed the connection without an answer to the handshake."
    if isinstance(error, SilentError):
        return ErrorClass.RESET, "The other side is silent; it answered no ping."
    if isinstance(error, InvalidHandshake):
        return _of_handshake(error)
    if isinstance(error, (WebSocketException, UnicodeDecodeError)):
        return (
            ErrorClass.PROTOCOL,
            f"The other side broke the WebSocket protocol ({safe_text(str(error), 120)}).",
        )
    return faults.classify(error, phase)


def _of_handshake(error: InvalidHandshake) -> Verdict:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        error_class = _STATUSES.get(status) or classify_status(status) or ErrorClass.PROTOCOL
        if error_class is ErrorClass.PROTOCOL:
            return error_class, f"The answer to the handshake was status {status}, not 101."
        return error_class, status_message(status)
    if isinstance(error, InvalidMessage):
        return ErrorClass.PROTOCOL, "The answer to the handshake is not valid HTTP."
    return ErrorClass.PROTOCOL, f"The handshake failed ({safe_text(str(error), 120)})."
