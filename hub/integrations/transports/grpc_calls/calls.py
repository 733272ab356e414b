"""One remote procedure call on an open channel: bytes out, bytes in.

Promises: it ends at the deadline and when it is cancelled; at most `max_bytes` of answers are kept. A call of one
answer takes no thread of its own; one of several messages out has one of gRPC's while it lasts.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.grpc_calls.library import grpc
from hub.integrations.transports.grpc_calls.messages import decompressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hub.net.cancellation import Cancellation

OK = 0
CANCELLED = 1
DEADLINE_EXCEEDED = 4

# Before each message: whether it is compressed, and its length (gRPC over HTTP/2, "Length-Prefixed-Message").
_FRAME_BYTES = 5

Pairs = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class Rpc:
    """What to call.

    Args:
        path: `/pkg.Service/Method`.
        messages: what is sent.
        client_streaming: the method takes several messages.
        server_streaming: the method gives several messages.
        metadata: sent along.
    """

    path: str
    messages: Sequence[bytes]
    client_streaming: bool
    server_streaming: bool
    metadata: Pairs


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one call.

    Args:
        timeout: seconds.
        max_message_bytes: of one answer.
        max_bytes: of all of them.
        cancellation: ends the call.
        count: enough answers of a stream.
        seconds: enough time for a stream.
    """

    timeout: float
    max_message_bytes: int
    max_bytes: int
    cancellation: Cancellation
    count: int | None = None
    seconds: float | None = None


@dataclass(slots=True)
class Reply:
    """What came.

    Args:
        code: gRPC's status number; `OK` also when we had enough of a stream and ended it.
        name: of the status: `NOT_FOUND`.
        details: the sentence that came with it, or gRPC's own.
        messages: the answers, decompressed.
        size: bytes of all answers, with what frames them: empty ones count too.
        too_large: an answer, or all of them, were over the cap.
        initial: metadata that came first.
        trailing: metadata that came last.
        unconnected: there was no connection, so nothing left.
    """

    code: int = OK
    name: str = "OK"
    details: str = ""
    messages: list[bytes] = field(default_factory=list)
    size: int = 0
    too_large: bool = False
    initial: Pairs = ()
    trailing: Pairs = ()
    unconnected: bool = False


def invoke(channel: Any, rpc: Rpc, bounds: Bounds) -> Reply:
    """Make a call.

    Args:
        channel: gRPC's.
        rpc: what to call.
        bounds: of the call.

    Raises:
        Cancelled: before it began.
        BadAnswerError, BombError: of an answer that is compressed.
    """
    given = "stream" if rpc.client_streaming else "unary"
    taken = "stream" if rpc.server_streaming else "unary"
    call_of = getattr(channel, f"{given}_{taken}")(rpc.path)
    request: Any = iter(rpc.messages) if rpc.client_streaming else rpc.messages[0]
    if rpc.server_streaming:
        return _stream(channel, call_of, request, rpc, bounds)
    reply = Reply()
    with _cancelled_by(bounds.cancellation) as watch:
        call = call_of.future(request, timeout=bounds.timeout, metadata=rpc.metadata)
        watch(call)
        try:
            answer = call.result()
        except (grpc().RpcError, grpc().FutureCancelledError):
            pass
        else:
            _keep(reply, answer, bounds)
    return _ended(reply, call)


def _stream(channel: Any, call_of: Any, request: Any, rpc: Rpc, bounds: Bounds) -> Reply:
    short = bounds.seconds is not None and bounds.seconds < bounds.timeout
    timeout = bounds.seconds if short else bounds.timeout
    reply = Reply()
    enough = False
    with _cancelled_by(bounds.cancellation) as watch:
        call = call_of(request, timeout=timeout, metadata=rpc.metadata)
        watch(call)
        try:
            for answer in call:
                _keep(reply, answer, bounds)
                enough = reply.too_large or len(reply.messages) == bounds.count
                if enough:
                    break
        except grpc().RpcError:
            pass
    _ended(reply, call)
    over = short and reply.code == DEADLINE_EXCEEDED
    if enough or (over and (reply.messages or reply.initial or _is_connected(channel))):
        reply.code, reply.name, reply.details = OK, "OK", ""
    return reply


def _is_connected(channel: Any) -> bool:
    """Whether somebody who speaks HTTP/2 is there: a stream without answers is a quiet one only then.

    `subscribe`, which is gRPC's public way to know, takes two threads and fails in them when the channel is closed.
    """
    ready = grpc().ChannelConnectivity.READY.value[0]
    return bool(channel._channel.check_connectivity_state(False) == ready)  # noqa: SLF001 - see above


@contextmanager
def _cancelled_by(cancellation: Cancellation) -> Iterator[Callable[[Any], None]]:
    """Cancel a call when it is left, and from outside. Gives a function that is told the call.

    Whoever stops reading has to say so, or the stream and its buffers live on.

    Raises:
        Cancelled: before it begins.
    """
    calls: list[Any] = []

    def cancel() -> None:
        for call in calls:
            call.cancel()

    def watch(call: Any) -> None:
        calls.append(call)
        if cancellation.cancelled:
            call.cancel()

    with cancellation.closing(cancel):
        try:
            yield watch
        finally:
            cancel()


def _keep(reply: Reply, answer: bytes, bounds: Bounds) -> None:
    plain = decompressed(answer, bounds.max_message_bytes)
    reply.size += len(plain) + _FRAME_BYTES
    if reply.size > bounds.max_bytes:
        reply.too_large = True
    else:
        reply.messages.append(plain)


def _ended(reply: Reply, call: Any) -> Reply:
    code = call.code()
    reply.code, reply.name = code.value[0], code.name
    reply.details = call.details() or ""
    reply.initial = tuple(call.initial_metadata() or ())
    reply.trailing = tuple(call.trailing_metadata() or ())
    return reply
