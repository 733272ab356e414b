"""Receivers for tests: one in this process that keeps whole requests, one in a process of its own that is fast."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self

from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; header names in lower case, `at` in seconds since the epoch."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.time)

    @property
    def webhook_id(self) -> str:
        """The value of `webhook-id`."""
        return self.headers.get("webhook-id", "")


class Answer(NamedTuple):
    """What to answer."""

    status: int = 200
    body: bytes = b'{"ok":true}'
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


class Inbox:
    """An HTTP server in this process for the time of a `with` block.

    Set `answer` to decide what a request is answered with; it may block, each request has its thread.
    """

    def __init__(self) -> None:
        self.answer: Callable[[Request], Answer] = lambda _: Answer()
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body leave in one packet: Nagle and delayed acknowledgements would cost 40 ms.
            wbufsize = 65_536

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body)
                with inbox._lock:
                    inbox._requests.append(request)
                answer = inbox.answer(request)
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                """The caller hung up, as killed workers do."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def requests(self) -> list[Request]:
        """What has come so far."""
        with self._lock:
            return list(self._requests)

    def wait(self, count: int, *, seconds: float = 20.0) -> list[Request]:
        """What has come, as soon as it is `count` requests."""
        until(lambda: len(self.requests) >= count, seconds=seconds, what=f"request number {count}")
        return self.requests


class Seen(NamedTuple):
    """One line of a receiver's log."""

    at: float
    path: str
    webhook_id: str
    status: int


class FastReceiver:
    """`tests.support.receiver` in a process of its own for the time of a `with` block: thousands of requests a second.

    Args:
        directory: for its log.
        delay: seconds that every answer takes.
    """

    _numbers = itertools.count(1)

    def __init__(self, directory: Path, *, delay: float = 0.0) -> None:
        number = next(self._numbers)
        self._port_file = directory / f"receiver-{number}.port"
        self._log_file = directory / f"receiver-{number}.log"
        self._delay = delay
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "tests.support.receiver",
                str(self._port_file), str(self._log_file), "--delay", str(self._delay),
            ]
        )  # fmt: skip
        try:
            until(self._port_file.exists, what="the receiver's port")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.url = f"http://127.0.0.1:{self._port_file.read_text()}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def seen(self) -> list[Seen]:
        """Every request so far."""
        lines = self._log_file.read_text().splitlines()
        return [
            Seen(float(at), path, webhook_id, int(status))
            for at, path, webhook_id, status in (line.split(" ") for line in lines)
        ]

    def ids(self) -> Counter[str]:
        """How often each `webhook-id` came."""
        return Counter(seen.webhook_id for seen in self.seen())

    def paths(self) -> Counter[str]:
        """How often each path came."""
        return Counter(seen.path for seen in self.seen())
