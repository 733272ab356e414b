"""A fast webhook receiver in a process of its own: counts, keeps every request's webhook-id, answers as told.

`python -m tests.support.receiver PORT_FILE LOG_FILE [--delay SECONDS]` writes its port into PORT_FILE and appends one line
for each request to LOG_FILE: `<unix time> <path> <webhook-id> <status>`. The path chooses the answer: `/ok`, `/gone`
(410), `/fail` (500), `/flaky/N` (fails N times for each webhook-id, then succeeds), `/slow/SECONDS`.

A raw asyncio protocol, because a framework's receiver would be the slowest part of what is measured.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import BinaryIO, cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nwebhook-id: *([^\r]*)", re.IGNORECASE)
_REASONS = {200: b"OK", 410: b"Gone", 500: b"Internal Server Error"}


class Receiver(asyncio.Protocol):
    """One connection, keep-alive."""

    def __init__(self, log: BinaryIO, seen: Counter[bytes], delay: float) -> None:
        self._log = log
        self._seen = seen
        self._delay = delay
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from it

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end]
            match = _LENGTH.search(head)
            total = end + 4 + (int(match[1]) if match else 0)
            if len(self._buffer) < total:
                return
            self._buffer = self._buffer[total:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1]
        match = _ID.search(head)
        webhook_id = match[1] if match else b"-"
        delay = self._delay
        status = 200
        if path.startswith(b"/gone"):
            status = 410
        elif path.startswith(b"/fail"):
            status = 500
        elif path.startswith(b"/flaky/"):
            self._seen[path + webhook_id] += 1
            status = 500 if self._seen[path + webhook_id] <= int(path.split(b"/")[2]) else 200
        elif path.startswith(b"/slow/"):
            delay = float(path.split(b"/")[2])
        # Unbuffered: a line that is read was answered or is about to be.
        self._log.write(b"%.6f %b %b %d\n" % (time.time(), path, webhook_id, status))
        answer = b"HTTP/1.1 %d %b\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok" % (
            status,
            _REASONS[status],
        )
        if delay:
            asyncio.get_running_loop().call_later(delay, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


async def serve(port_file: Path, log_file: Path, delay: float) -> None:
    """Listen on a free loopback port until SIGTERM."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    seen: Counter[bytes] = Counter()
    with log_file.open("ab", buffering=0) as log:
        server = await loop.create_server(lambda: Receiver(log, seen, delay), "127.0.0.1", 0, backlog=4096)
        ready = port_file.with_suffix(".tmp")
        ready.write_text(str(server.sockets[0].getsockname()[1]))
        ready.rename(port_file)
        await done.wait()


if __name__ == "__main__":
    import uvloop

    wait = float(sys.argv[sys.argv.index("--delay") + 1]) if "--delay" in sys.argv else 0.0
    uvloop.run(serve(Path(sys.argv[1]), Path(sys.argv[2]), wait))
