"""What the end of a call means: gRPC's status in, error class and sentence out.

Statuses: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md. `UNAVAILABLE` is what a service says that is
busy, what a proxy says that lost the service in the middle of a call, and what gRPC says when a connection fails; only
the text tells them apart, and tests hold gRPC to its texts. A class that means "surely not done" is given only where
that is known: no connection was made, or the service asks for the call again.
"""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.grpc_calls.details import details_of, wait_of
from hub.integrations.transports.quoting import quoted
from hub.net.outcome import ErrorClass, collect_headers, safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.descriptor_pool import DescriptorPool

    from hub.integrations.transports.grpc_calls.calls import Reply

Verdict = tuple[ErrorClass | None, str]

UNIMPLEMENTED = 12
UNAVAILABLE = 14
_DEADLINE_EXCEEDED = 4
_UNKNOWN, _INTERNAL = 2, 13
# What gRPC itself gives a call whose connection failed.
_CONNECTION_CODES = frozenset({_UNKNOWN, _INTERNAL, UNAVAILABLE})
_RESOURCE_EXHAUSTED = 8
_CLASSES = {
    _RESOURCE_EXHAUSTED: ErrorClass.RATE_LIMITED,
    16: ErrorClass.UNAUTHORIZED,
}
_PUSHBACK = "grpc-retry-pushback-ms"
_NOT_CONNECTED = "failed to connect to all addresses"
# gRPC's own word about our cap; with another beginning it is the service's about its own.
_OVER_OUR_CAP = tuple(
    f"{start}client: received message larger than max" for start in ("", "stream removed (")
)
# What C++, Go and Java say of a message over their limit.
_OVER_ITS_CAP = ("message larger than max", "message exceeds maximum size")
# With these begins what gRPC says when a connection ends under a call.
_ENDED = (
    "stream removed",
    "socket closed",
    "goaway received",
    "cancelling all calls",
    "recvmsg",
    "sendmsg",
    "connection ",
    "transport closed",
    "endpoint closing",
    "keepalive",
    "broken pipe",
    "failed parsing",
)
# Texts of gRPC's core, in lower case, in the order in which they are looked for.
_CONNECTION_TEXTS = (
    (("missing selected alpn", "parsing http/2", "http1", "expected settings"), ErrorClass.PROTOCOL),
    (("handshake failed", "certificate", "ssl_error", "check peer", "verification check"), ErrorClass.TLS),
    (
        ("reset", "socket closed", "broken pipe", "aborted", "goaway", "recvmsg", "sendmsg"),
        ErrorClass.RESET,
    ),
    (("timed out", "timeout"), ErrorClass.CONNECT_TIMEOUT),
)
_SENTENCES = {
    ErrorClass.TLS: "The TLS handshake failed",
    ErrorClass.PROTOCOL: "The other side does not speak HTTP/2",
    ErrorClass.RESET: "The other side broke the connection",
    ErrorClass.CONNECT_TIMEOUT: "The other side did not answer the connection",
    ErrorClass.CONNECT_REFUSED: "The connection failed",
}


def of_reply(reply: Reply) -> Verdict:  # noqa: PLR0911 - one line a case
    """The verdict of a call that was made."""
    lower = reply.details.lower()
    exhausted = reply.code == _RESOURCE_EXHAUSTED
    if reply.too_large or (exhausted and lower.startswith(_OVER_OUR_CAP)):
        return ErrorClass.TOO_LARGE, "The answer is longer than the call may receive."
    if reply.code == 0:
        return None, ""
    told = f": {quoted(reply.details)}." if reply.details else "."
    if exhausted and any(text in lower for text in _OVER_ITS_CAP):
        text = f"A message of the call is longer than the service allows ({reply.name}){told}"
        return ErrorClass.PROVIDER_ERROR, text
    if reply.code in _CONNECTION_CODES:
        broken = _of_connection(lower, never=reply.unconnected)
        if broken is not None:
            return broken, f"{_SENTENCES[broken]}{told}"
    if (exhausted or reply.code == UNAVAILABLE) and reply.messages:
        # It had begun, so it is not sure that nothing was done.
        return ErrorClass.RESET, f"The service broke off ({reply.name}){told}"
    if reply.code == UNAVAILABLE:
        if _asks_again(reply):
            return ErrorClass.PROVIDER_BUSY, f"The service is not available now (UNAVAILABLE){told}"
        return (
            ErrorClass.RESET,
            f"The service is not available, or was lost during the call (UNAVAILABLE){told}",
        )
    if reply.code == _DEADLINE_EXCEEDED:
        return ErrorClass.TIMEOUT, "The time was over while waiting for the answer (DEADLINE_EXCEEDED)."
    error_class = _CLASSES.get(reply.code, ErrorClass.PROVIDER_ERROR)
    return error_class, f"The service answered {reply.name}{told}"


def is_unconnected(reply: Reply, ips: Sequence[str], port: int) -> bool:
    """Whether gRPC itself says that there was no connection, so that the call surely did not leave.

    A service may pass on what gRPC said to it of a third one, so the text has to name an address of ours.

    Args:
        reply: what came.
        ips: the addresses of the channel.
        port: the port of all of them.
    """
    lower = reply.details.lower()
    if reply.code != UNAVAILABLE or not lower.startswith(_NOT_CONNECTED):
        return False
    ours = (f" ipv6:%5b{ip}%5d:{port}: " if ":" in ip else f" ipv4:{ip}:{port}: " for ip in ips)
    return any(address in lower for address in ours)


def _of_connection(lower: str, *, never: bool) -> ErrorClass | None:
    """What broke, when it was the connection."""
    if not never and not lower.startswith(_ENDED):
        return None
    found = next(
        (error_class for texts, error_class in _CONNECTION_TEXTS if any(text in lower for text in texts)),
        None,
    )
    if never:
        return found or ErrorClass.CONNECT_REFUSED
    # Of one that stood, whatever the text: the call may have arrived.
    return found if found is ErrorClass.PROTOCOL else ErrorClass.RESET


def _asks_again(reply: Reply) -> bool:
    """The service itself says when the call is to be repeated (gRFC A6)."""
    return any(key == _PUSHBACK and _pushback(_text(value)) is not None for key, value in reply.trailing)


def headers_of(reply: Reply) -> dict[str, str]:
    """Metadata, status and the wait that the service asks for, as headers of an outcome."""
    pairs = [(key, _text(value)) for key, value in (*reply.initial, *reply.trailing)]
    headers = collect_headers(pairs)
    headers["grpc-status"] = str(reply.code)
    if reply.details:
        headers["grpc-message"] = _shown(reply.details, 1000)
    wait = _pushback(headers.get(_PUSHBACK, "")) or wait_of(reply)
    if wait is not None:
        headers.setdefault("retry-after", wait)
    headers["content-type"] = "application/json"
    return headers


def error_of(reply: Reply, pool: DescriptorPool | None = None) -> dict[str, Any]:
    """What a service said that went wrong, for the body.

    Args:
        reply: of a call that failed.
        pool: the service's own types.
    """
    details = details_of(reply, pool)
    return {
        "code": reply.code,
        "status": reply.name,
        "message": _shown(reply.details, 1000),
        **({"details": details} if details else {}),
    }


def _shown(details: str, limit: int) -> str:
    """Details fit to be shown: gRPC puts bytes of a broken answer into them as they are."""
    return safe_text("".join(one if one.isprintable() else " " for one in details[:limit]), limit)


def _text(value: str | bytes) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _pushback(value: str) -> str | None:
    """Milliseconds as seconds (gRFC A6); a negative number asks for no repetition, which is not a time."""
    try:
        milliseconds = int(value)
    except ValueError:
        return None
    return str(math.ceil(milliseconds / 1000)) if 0 <= milliseconds <= 86_400_000 else None
