"""The outside API: httpbin, as it is, with a count of calls around it: `python -m hub.demo.provider PORT RUN`.

`GET /seen` answers with the number of this run's calls by their name, from `X-Demo-Call: <run>.<name>`; everything
else is httpbin.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

from hub.demo.plan import CALL_HEADER
from hub.demo.wsgi import serve

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_CALL = "HTTP_" + CALL_HEADER.upper().replace("-", "_")


class Counting:
    """A WSGI application that counts the calls of another.

    Args:
        application: the other.
        run: which run's calls count: those that an aborted one left behind may come here too.
    """

    def __init__(self, application: WSGIApplication, run: str) -> None:
        self._application = application
        self._run = run
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Count the request and pass it on."""
        if environ["PATH_INFO"] == "/seen":
            with self._lock:
                body = json.dumps(self._seen).encode()
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
            start_response("200 OK", headers)
            return [body]
        run, _, call = environ.get(_CALL, "").partition(".")
        if run == self._run:
            with self._lock:
                self._seen[call] += 1
        return self._application(environ, start_response)


if __name__ == "__main__":
    # httpbin mentions at import that its optional documentation pages are not installed.
    logging.getLogger("httpbin").setLevel(logging.ERROR)
    from httpbin import app

    serve(Counting(app, sys.argv[2]), int(sys.argv[1]))
