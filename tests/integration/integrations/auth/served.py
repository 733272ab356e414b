"""Services that we did not write, served on loopback inside the test's process, with a count of what they are asked."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from waitress.server import create_server
from waitress.wasyncore import close_all


@dataclass
class Served:
    """A running service.

    Attributes:
        url: its address.
        asked: `METHOD path` of every request, and the status of its answer.
    """

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def serving(application: Callable[..., Any]) -> Iterator[Served]:
    """Run a WSGI application under waitress on a free port."""
    served = Served("")

    def counting(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        def start(status: str, headers: Any, *more: Any) -> Any:
            served.asked.append((f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}", status[:3]))
            return start_response(status, headers, *more)

        return application(environ, start)

    sockets: dict[int, Any] = {}
    # Beyond these sizes it keeps bodies in files, which it leaves open when a client goes away.
    in_memory = {"outbuf_overflow": 64 * 1_048_576, "inbuf_overflow": 64 * 1_048_576}
    server = create_server(counting, map=sockets, host="127.0.0.1", port=0, threads=4, **in_memory)
    served.url = f"http://127.0.0.1:{server.effective_port}"
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        # Its loop ends when nothing is left to watch.
        with contextlib.suppress(OSError):  # it is awake, and ends by itself
            server.trigger.pull_trigger(lambda: close_all(sockets))
        thread.join(5)
        server.task_dispatcher.shutdown()


@contextmanager
def serving_httpbin() -> Iterator[Served]:
    """Run httpbin."""
    # It mentions at import that its optional documentation pages are not installed.
    logging.getLogger("httpbin").setLevel(logging.ERROR)
    from httpbin import app  # noqa: PLC0415 - after its logger was told

    with serving(app) as served:
        yield served
