"""The outside API that executions call: `python -m tests.benchmarks.service PORT_FILE LOG_FILE`.

Answers a GET with a bearer token with a small JSON object, below `/slow/N/` after N seconds, anything else with 401; appends a line for each request to
LOG_FILE, in the form of `tests.support.receiver`. A raw asyncio protocol, so that it is never the slowest part.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import BinaryIO, cast

TOKEN = "benchmark-token"
_AUTHORIZATION = f"\r\nauthorization: bearer {TOKEN}\r\n".encode()
_BODY = b'{"id":42,"name":"Ada Lovelace","email":"ada@example.com","roles":["admin","billing"],"active":true}'
_ANSWERS = {
    200: b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (len(_BODY), _BODY),
    401: b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
}


class Service(asyncio.Protocol):
    """One connection, keep-alive; requests have no body."""

    def __init__(self, log: BinaryIO) -> None:
        self._log = log
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        *heads, self._buffer = (self._buffer + data).split(b"\r\n\r\n")
        for head in heads:
            method, path, _ = head.split(b" ", 2)
            known = _AUTHORIZATION in (head + b"\r\n").lower()
            status = 200 if method == b"GET" and known else 401
            self._log.write(b"%.6f %b - %d\n" % (time.time(), path, status))
            if path.startswith(b"/slow/"):
                delay = float(path.split(b"/", 3)[2])
                asyncio.get_running_loop().call_later(delay, self._transport.write, _ANSWERS[status])
            else:
                self._transport.write(_ANSWERS[status])


async def serve(port_file: Path, log_file: Path) -> None:
    """Listen on a free loopback port until SIGTERM."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    with log_file.open("ab", buffering=0) as log:
        server = await loop.create_server(lambda: Service(log), "127.0.0.1", 0, backlog=1024)
        ready = port_file.with_suffix(".tmp")
        ready.write_text(str(server.sockets[0].getsockname()[1]))
        ready.rename(port_file)
        await done.wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
