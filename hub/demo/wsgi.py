"""How the demo's services are served: waitress, on loopback, until SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import waitress

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

#: More than the hub has calls in flight: one that waits for a place would look like a slow receiver.
_CONNECTIONS = 4_000
_THREADS = 4


def serve(application: WSGIApplication, port: int) -> None:
    """Serve until SIGTERM.

    Args:
        application: what to serve.
        port: on 127.0.0.1.
    """

    def leave(*_: Any) -> NoReturn:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    # It warns of each request that waits for a thread; a burst is what they are here for.
    logging.getLogger("waitress").setLevel(logging.ERROR)
    waitress.serve(
        application,
        host="127.0.0.1",
        port=port,
        threads=_THREADS,
        connection_limit=_CONNECTIONS,
        backlog=_CONNECTIONS,
        asyncore_use_poll=True,  # select() ends at 1,024 file descriptors
        clear_untrusted_proxy_headers=True,
        _quiet=True,
    )
