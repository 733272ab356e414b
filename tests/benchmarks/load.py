"""The load generator: `python -m tests.benchmarks.load`, a spec as JSON on its input, a result as JSON on its output.

A few bodies, sent in turn over keep-alive connections, by a raw asyncio protocol: a client library would take more of
the two cores than the hub that is measured. What it takes itself, and how late it was, is part of the result.

- Closed loop (`rate` null): each connection sends its next request when the answer to the last one is there.
- Open loop: requests are due at fixed times, whatever the answers do. A request that finds no idle connection waits
  for one, and its time counts from when it was due: a server that stalls cannot hide it (coordinated omission).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections import Counter, deque
from typing import Any, cast

from tests.benchmarks import proc

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb'"id":"([^"]+)"')


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._due = 0.0
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.fail(f"the server closed a connection ({exc})")

    def send(self, due: float) -> None:
        """Send the request that was due at this Unix time."""
        assert self._transport is not None
        self._due = due
        self._number, request = self._run.next_request()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, end + 2)
        total = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < total:
            return
        status, body = int(self._buffer[9:12]), self._buffer[end + 4 : total]
        self._buffer = self._buffer[total:]
        self._run.answered(self, self._due, self._number, status, body)

    def close(self) -> None:
        """Close it; nothing is under way."""
        assert self._transport is not None
        self._transport.abort()


class Run:
    """One run of the generator.

    Args:
        spec: `port`, `path`, `headers` (`{n}` in one stands for the request's number), `bodies`, `connections`, `rate`
            (1/s or null), `seconds` or `requests`, `expected` (status), `ids` (keep the first id of each answer).
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        #: Of each body, what comes before and after the request's number.
        self._requests = [_split(spec, body.encode()) for body in spec["bodies"]]
        self._sent = 0
        self._spec = spec
        self._left: float = spec["requests"] or float("inf")
        self._ends = 0.0
        self._idle: deque[Connection] = deque()
        self._queue: deque[float] = deque()
        self._open = 0
        self._over = asyncio.Event()
        self._more = False
        self._fault = ""
        self._due: list[float] = []
        self._done: list[float] = []
        self._numbers: list[int] = []
        self._lags: list[float] = []
        self._ids: list[str] = []
        self._statuses: Counter[int] = Counter()
        self._sample = b""

    async def go(self) -> dict[str, Any]:
        """Send everything and wait for the answers."""
        spec = self._spec
        loop = asyncio.get_running_loop()
        for _ in range(spec["connections"]):
            _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", spec["port"])
            self._idle.append(connection)
        everybody = list(self._idle)
        began, cpu = time.monotonic(), time.process_time()
        self._ends = time.time() + (spec["seconds"] or 3600)
        self._more = True
        if spec["rate"]:
            await self._tick(spec["rate"])
        else:
            while self._idle and self._next_is_due():
                self._start(time.time())
        self._more = bool(not spec["rate"])
        self._check_over()
        await self._over.wait()
        if self._fault:
            raise RuntimeError(self._fault)
        self._fault = "over"
        for connection in everybody:
            connection.close()
        if unexpected := {s: n for s, n in self._statuses.items() if s != spec["expected"]}:
            raise RuntimeError(f"unexpected answers {unexpected}, such as {self._sample[:300]!r}")
        lags = sorted(self._lags)
        return {
            "due": self._due,
            "answered": self._done,
            "numbers": self._numbers,
            "ids": self._ids,
            "cpu": (time.process_time() - cpu) / (time.monotonic() - began),
            "lag": lags[int(len(lags) * 0.99)] if lags else 0.0,
        }

    async def _tick(self, rate: float) -> None:
        start = time.time()
        number = 0
        while not self._fault:
            due = start + number / rate
            if due >= self._ends or not self._next_is_due():
                return
            if (wait := due - time.time()) > 0:
                await asyncio.sleep(wait)
            number += 1
            self._lags.append(time.time() - due)
            self._start(due)

    def next_request(self) -> tuple[int, bytes]:
        """The next request's number and bytes."""
        number = self._sent
        self._sent += 1
        head, tail = self._requests[number % len(self._requests)]
        return number, head if tail is None else b"%b%d%b" % (head, number, tail)

    def _next_is_due(self) -> bool:
        """Take one request from what is left."""
        if self._left < 1 or time.time() >= self._ends:
            return False
        self._left -= 1
        return True

    def _start(self, due: float) -> None:
        self._open += 1
        if self._idle:
            self._idle.popleft().send(due)
        else:
            self._queue.append(due)

    def answered(self, connection: Connection, due: float, number: int, status: int, body: bytes) -> None:
        """An answer came: note it, and give the connection its next request."""
        self._open -= 1
        self._statuses[status] += 1
        self._due.append(due)
        self._numbers.append(number)
        self._done.append(time.time())
        if status != self._spec["expected"]:
            self._sample = body
        elif self._spec["ids"] and (found := _ID.search(body)):
            self._ids.append(found[1].decode())
        if self._queue:
            connection.send(self._queue.popleft())
            return
        self._idle.append(connection)
        if not self._spec["rate"] and self._next_is_due():
            self._start(time.time())
        self._check_over()

    def _check_over(self) -> None:
        if self._open == 0 and not (self._spec["rate"] and self._more):
            self._over.set()

    def fail(self, fault: str) -> None:
        """End the run with this fault, unless it is over."""
        if not self._fault:
            self._fault = fault
            self._over.set()


def _split(spec: dict[str, Any], body: bytes) -> tuple[bytes, bytes | None]:
    lines = [
        f"POST {spec['path']} HTTP/1.1",
        f"Host: 127.0.0.1:{spec['port']}",
        *(f"{name}: {value}" for name, value in spec["headers"].items()),
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    before, mark, after = ("\r\n".join(lines) + "\r\n\r\n").encode().partition(b"{n}")
    return (before, after + body) if mark else (before + body, None)


if __name__ == "__main__":
    import uvloop

    proc.prefer(os.getpid())
    json.dump(uvloop.run(Run(json.load(sys.stdin)).go()), sys.stdout)
