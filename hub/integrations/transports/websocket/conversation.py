"""One WebSocket session (RFC 6455) on a socket that `hub.net` opened, in the caller's own thread.

`websockets` supplies the protocol without I/O; its threaded client would start two threads a session and cannot
keep one deadline. Promises: every read and write keeps the session's deadline; at most `max_bytes` are received,
after decompression; pings are answered whenever something is read or written; no deadlock with a service that
answers before it has read everything. Leaves to others: what the messages mean.
"""

from __future__ import annotations

import contextlib
import logging
import select
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Origin, Subprotocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from websockets.uri import WebSocketURI

    from hub.net.sockets import Deadline, PlainSocket, TlsSocket

_PIECE_BYTES = 16_384
# Messages that came while ours were written; one piece holds at most 8,192.
_MAX_WAITING = 10_000
_RECORD_SECONDS = 0.05
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)

# Its debug lines would show credentials; no level of the deployment's turns them on.
_logger = logging.getLogger("hub.integrations.websocket")
_logger.setLevel(logging.CRITICAL)


class OverCapError(Exception):
    """The service sent more than the call may receive."""


class SilentError(Exception):
    """The service answers no pings."""


class UnansweredError(Exception):
    """The connection ended before one byte of an answer to the handshake."""


class BrokenOffError(Exception):
    """The connection ended without a close frame (RFC 6455, 7.1.5: code 1006)."""


class Closed(Exception):
    """The service closed the session.

    Args:
        code: of the close frame; 1005 when it had none.
        reason: the service's text.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Offer:
    """What the handshake asks for.

    Args:
        uri: the address, from `address`.
        headers: to add to the handshake's own.
        origin: of the Origin header; None sends none.
        subprotocols: in the order of preference.
        compression: offer permessage-deflate (RFC 7692).
    """

    uri: WebSocketURI
    headers: Mapping[str, str]
    origin: str | None = None
    subprotocols: Sequence[str] = ()
    compression: bool = False


class Conversation:
    """One session, from the handshake to the close.

    Args:
        sock: connected, with TLS where the address says so.
        offer: what to ask for.
        deadline: over all of it.
        max_bytes: of all received messages together.
        max_message_bytes: of one.
        ping_seconds: ping after so long a silence; None never.
    """

    def __init__(
        self,
        sock: PlainSocket | TlsSocket,
        offer: Offer,
        deadline: Deadline,
        *,
        max_bytes: int,
        max_message_bytes: int,
        ping_seconds: float | None,
    ) -> None:
        self._sock = sock
        self._deadline = deadline
        self._room = max_bytes
        self._ping_seconds = ping_seconds
        self._heard_at = time.monotonic()
        self._pinged = False
        self._heard = False
        self._headers = offer.headers
        self._protocol = ClientProtocol(
            offer.uri,
            origin=None if offer.origin is None else Origin(offer.origin),
            # A window of 2^12 bytes: the usual 2^15 costs 300 KB a session on both sides.
            extensions=[ClientPerMessageDeflateFactory(server_max_window_bits=12, client_max_window_bits=12)]
            if offer.compression
            else None,
            subprotocols=[Subprotocol(name) for name in offer.subprotocols] or None,
            max_size=max_message_bytes,
            logger=_logger,
        )
        self._parts = bytearray()
        self._is_text = True
        self._waiting: deque[str | bytes] = deque()
        self._fault: Exception | None = None
        self.response: Response | None = None

    def handshake(self) -> Response:
        """Ask for the upgrade and wait for the answer.

        Returns:
            The answer with status 101.

        Raises:
            websockets.exceptions.InvalidHandshake: the answer was another one, or none; when it could be read,
                `response` has it.
            UnansweredError: see there.
            OSError: connection, deadline.
        """
        request = self._protocol.connect()
        for name, value in self._headers.items():
            if name in request.headers:
                del request.headers[name]
            request.headers[name] = value
        self._protocol.send_request(request)
        self._flush()
        while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
            self._read(self._deadline.remaining())
        if self._protocol.handshake_exc is not None:
            if not self._heard:
                raise UnansweredError
            raise self._protocol.handshake_exc
        assert self.response is not None
        return self.response

    def send(self, message: str | bytes) -> None:
        """Send one message.

        Raises:
            Closed, BrokenOffError, OverCapError: the session has ended meanwhile.
            OSError: connection, deadline.
        """
        if self._protocol.state is not State.OPEN:
            self._raise_end()
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._flush()

    def receive(self, until: float) -> str | bytes | None:
        """The next message.

        Args:
            until: a moment of the monotonic clock; waiting ends then, or with the deadline when that is sooner.

        Returns:
            None when none came until then.

        Raises:
            Closed: by the service.
            BrokenOffError, SilentError, OverCapError: see there.
            websockets.exceptions.WebSocketException, UnicodeDecodeError: the service broke the protocol.
            OSError: connection, deadline.
        """
        while not self._waiting:
            if self._fault is not None or self._protocol.state is not State.OPEN:
                self._raise_end()
            left = until - time.monotonic()
            if left <= 0:
                return None
            self._ping_if_due()
            self._read(min(left, self._deadline.remaining(), self._until_ping()))
        return self._waiting.popleft()

    def close(self, seconds: float) -> bool:
        """Close the session normally; what still comes is dropped. Never raises.

        Args:
            seconds: to wait for the service's close frame.

        Returns:
            Whether the service confirmed, which says that it has read every message.
        """
        end = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            if self._protocol.state is State.OPEN and self._fault is None:
                self._protocol.send_close(1000)
                self._flush()
            while self._protocol.close_rcvd is None and self._protocol.state is not State.CLOSED:
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._waiting.clear()
                self._read(min(left, self._deadline.remaining()))
        return self._protocol.close_rcvd is not None

    def _raise_end(self) -> None:
        """Say why nothing more comes."""
        if self._fault is not None:
            raise self._fault
        closed = self._protocol.close_rcvd
        if closed is not None:
            raise Closed(closed.code, closed.reason)
        error = self._protocol.parser_exc
        if isinstance(error, PayloadTooBig):
            raise OverCapError
        if error is not None and not isinstance(error, EOFError):
            raise error
        raise BrokenOffError

    def _until_ping(self) -> float:
        if self._ping_seconds is None:
            return float("inf")
        return max(self._heard_at + self._ping_seconds - time.monotonic(), 0.001)

    def _ping_if_due(self) -> None:
        if self._ping_seconds is None or time.monotonic() < self._heard_at + self._ping_seconds:
            return
        if self._pinged:
            raise SilentError
        self._pinged = True
        self._heard_at = time.monotonic()
        self._protocol.send_ping(b"hub")
        self._flush()

    def _read(self, seconds: float) -> None:
        """Take in what comes within some seconds; a silence is no fault unless the deadline is over."""
        self._sock.settimeout(seconds)
        try:
            data = self._sock.recv(_PIECE_BYTES)
        except TimeoutError:
            self._deadline.remaining()
            return
        self._take_in(data)
        self._flush()

    def _take_in(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        self._pinged = False
        if data:
            self._heard = True
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self.response = event
            elif isinstance(event, Frame) and event.opcode in _DATA:
                self._take_frame(event)

    def _take_frame(self, frame: Frame) -> None:
        if self._fault is not None:
            return
        self._room -= len(frame.data)
        if self._room < 0:
            self._fault = OverCapError()
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts += frame.data
        if frame.fin:
            whole = bytes(self._parts)
            self._parts.clear()
            try:
                self._waiting.append(whole.decode() if self._is_text else whole)
            except UnicodeDecodeError as error:
                self._fault = error

    def _flush(self) -> None:
        """Write what the protocol has to say, and take in what comes meanwhile.

        A service that answers each message before it reads the next would else wait for us as we for it.
        """
        poller = select.poll()
        poller.register(self._sock, select.POLLIN | select.POLLOUT)
        while pieces := self._protocol.data_to_send():
            view = memoryview(b"".join(pieces))
            while view:
                ready = poller.poll(self._deadline.remaining() * 1000)
                events = ready[0][1] if ready else 0
                if events & select.POLLIN and not self._goes_on_after_reading():
                    return
                if events & ~select.POLLIN:
                    # Room for a piece, or a connection that is broken, which `send` will say.
                    self._sock.settimeout(self._deadline.remaining())
                    view = view[self._sock.send(view[:_PIECE_BYTES]) :]

    def _goes_on_after_reading(self) -> bool:
        """Take in what is there; False when there is no use in writing the rest."""
        self._sock.settimeout(min(_RECORD_SECONDS, self._deadline.remaining()))
        try:
            data = self._sock.recv(_PIECE_BYTES)
        except TimeoutError:
            # A part of a TLS record.
            return True
        self._take_in(data)
        if len(self._waiting) > _MAX_WAITING:
            self._fault = OverCapError()
        return bool(data) and self._fault is None and self._protocol.close_rcvd is None
