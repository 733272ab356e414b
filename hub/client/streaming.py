"""Following a tenant's events over a connection that is made again whenever it breaks.

Promises: every event that the stream shows is given once, also across restarts of the hub; when the stream is made it
is connected, so what is published after that is in it. Leaves to the caller: to remember `message_id` of what it has
done, if it wants to go on there with another stream; that one repeats some of the last seconds.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final, Self

from urllib3.exceptions import HTTPError

from hub.client.closing import Closing
from hub.client.errors import HubApiError, HubUnreachable
from hub.client.sse import LineTooLong, Parser
from hub.client.transport import pause_before

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from hub.client.transport import Transport

PATH: Final = "/v1/events/stream"
#: The hub says something every 15 s.
SILENCE_SECONDS: Final = 40.0

_READ_BYTES = 65_536
#: A resumed stream repeats the last ten seconds; events of so many milliseconds are remembered.
_REMEMBERED_MS = 60_000
_PRUNE_FROM = 10_000
#: However long the hub asks to wait, seconds.
_LONGEST_RETRY_AFTER = 30.0
_ID = re.compile(r"msg_[0-9a-f]{32}")
#: Answers after which a broken stream is tried again.
_PASSING = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """One event of a stream.

    Args:
        message_id: `msg_…`; a stream can be resumed after it.
        id: the `webhook-id` of its deliveries.
        traceparent: the W3C trace context that they carry.
        type: its event type.
        timestamp: when it was accepted, ISO 8601.
        data: the publisher's JSON, decoded.
        body: the body of its deliveries, byte for byte.
    """

    message_id: str
    id: str
    traceparent: str
    type: str
    timestamp: str
    data: Any
    body: bytes


class EventStream(Closing):
    """Iterate over it; close it, or use it in a `with` block.

    It is connected when it is made, or after as many repeats as other requests get; a connection that breaks later is
    made again for as long as that takes.

    Args:
        transport: to the hub.
        query: of the route.
        after: `msg_…` to resume after; None: from now on.
        notify: told in a sentence when the connection broke, and when it is back.

    Raises:
        HubApiError: the hub refused it; while iterating, when it does so later (a revoked key).
        HubUnreachable: no usable answer after all tries.
    """

    def __init__(
        self,
        transport: Transport,
        query: Mapping[str, Any],
        *,
        after: str | None,
        notify: Callable[[str], None] | None,
    ) -> None:
        self._transport = transport
        self._query = query
        self._notify = notify or (lambda _: None)
        self._rng = Random()  # noqa: S311 - jitter, not a secret
        self._position = after
        self._seen: dict[str, None] = {}
        self._prune_at = _PRUNE_FROM
        self._ready: deque[StreamedEvent] = deque()
        self._parser = Parser()
        self._closed = False
        self._answer: requests.Response | None = self._connect(transport.retries)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamedEvent:
        while not self._closed:
            if self._ready:
                return self._ready.popleft()
            self._receive()
        raise StopIteration

    def close(self) -> None:
        """End it."""
        self._closed = True
        self._hang_up()

    def _receive(self) -> None:
        assert self._answer is not None
        try:
            received = self._answer.raw.read1(_READ_BYTES)
            frames = self._parser.feed(received)
        except (HTTPError, OSError) as error:
            self._resume(type(error).__name__)
            return
        except LineTooLong as error:
            self.close()
            raise HubUnreachable(
                f"What answers at {self._transport.base_url} is not a hub: {error}."
            ) from None
        if not received:
            self._resume("the hub ended it")
            return
        for frame in frames:
            if frame.id is not None and _ID.fullmatch(frame.id):
                # Text in hexadecimal sorts as the ids do.
                self._position = max(self._position or "", frame.id)
                if frame.data is not None and frame.id not in self._seen:
                    self._remember(frame.id)
                    self._ready.append(_event(frame.id, frame.data))

    def _resume(self, reason: str) -> None:
        self._hang_up()
        self._notify(f"The stream broke ({reason}); connecting again.")
        # Before the first try too: a hub that restarts is met by all its clients at once.
        self._transport.wait(pause_before(1, self._rng))
        try:
            self._answer = self._connect(None)
        except BaseException:
            self._closed = True
            raise
        self._notify("Connected again.")

    def _connect(self, retries: int | None) -> requests.Response:
        self._parser = Parser()
        headers = {} if self._position is None else {"Last-Event-ID": self._position}
        tries = 0
        while True:
            tries += 1
            asked = 0.0
            try:
                return self._transport.open(PATH, query=self._query, headers=headers, silence=SILENCE_SECONDS)
            except (HubUnreachable, HubApiError) as error:
                if isinstance(error, HubApiError):
                    if error.status not in _PASSING:
                        raise
                    asked = min(error.retry_after or 0.0, _LONGEST_RETRY_AFTER)
                if retries is not None and tries > retries:
                    raise
            self._transport.wait(max(asked, pause_before(tries, self._rng)))

    def _hang_up(self) -> None:
        if self._answer is not None:
            # What is left of a broken connection may fail once more.
            with contextlib.suppress(HTTPError, OSError):
                self._answer.close()
            self._answer = None

    def _remember(self, message_id: str) -> None:
        self._seen[message_id] = None
        if len(self._seen) >= self._prune_at:
            oldest = _milliseconds(max(self._seen)) - _REMEMBERED_MS
            self._seen = dict.fromkeys(one for one in self._seen if _milliseconds(one) >= oldest)
            self._prune_at = max(_PRUNE_FROM, 2 * len(self._seen))


def _milliseconds(message_id: str) -> int:
    """The time in an id (RFC 9562, 5.7)."""
    return int(message_id[4:16], 16)


def _event(message_id: str, text: str) -> StreamedEvent:
    payload = json.loads(text)
    webhook_id, trace = payload["id"], payload["traceparent"]
    kind, timestamp = payload["type"], payload["timestamp"]
    if (exact := payload.get("data_base64")) is not None:
        # Its data has carriage returns, which the stream cannot carry.
        data = base64.b64decode(exact)
        body = f'{{"type":"{kind}","timestamp":"{timestamp}","data":'.encode() + data + b"}"
    else:
        body = b"{" + text[len(f'{{"id":"{webhook_id}","traceparent":"{trace}",') :].encode()
    return StreamedEvent(message_id, webhook_id, trace, kind, timestamp, payload["data"], body)
