"""Incoming webhooks: requests signed as GitHub signs them, each with an id of its own, verified, stored and answered.

The signature covers the body alone (docs.github.com, "Validating webhook deliveries"), so one body serves all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks import ledger, live, traffic
from tests.benchmarks.figures import Figure, latency_figures
from tests.benchmarks.running import Bench

_RATE = 1000
_SECRET = "benchmark-secret"


def run(bench: Bench) -> list[Figure]:
    """Flat out with the deliver worker stopped, then at a fixed rate with every event delivered to an endpoint."""
    seconds, flat_seconds = bench.pick(15, 3), bench.pick(6, 2)
    audience = bench.audience("incoming", 1)
    source = bench.call(
        "POST",
        "/sources",
        {
            "name": "github",
            "verifier": {"profile": "github"},
            "secrets": [_SECRET],
            "event_type": audience.types[0],
        },
        headers=audience.headers,
    )
    path = urlsplit(source["url"]).path
    with bench.stopped("deliver"):
        flat_out = _send(bench, path, "flat", seconds=flat_seconds)
        with bench.engine.begin() as conn:
            ledger.clear(conn)
    bench.fresh()
    steady = _send(bench, path, "steady", rate=_RATE, seconds=seconds)
    bench.receiver.wait_for(len(steady.due), path=audience.path, seconds=30)
    bench.wait_recorded(len(steady.due), seconds=20)
    name = f"signed request at {_RATE}/s for {seconds} s, due to answered"
    return [
        Figure(
            f"signed requests accepted, 64 connections, {flat_seconds} s", flat_out.rate, "1/s", at_least=1000
        ),
        *latency_figures(name, steady.seconds, p99_at_most=50, note="each delivered to an endpoint as well"),
        *live.generator_figures("at that rate", steady),
    ]


def _send(bench: Bench, path: str, word: str, **options: Any) -> traffic.Sent:
    body = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "a/b"}, "commit": traffic.DATA})
    digest = hmac.new(_SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
    headers = {
        "X-Hub-Signature-256": f"sha256={digest}",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": f"{word}-{{n}}",
    }
    return traffic.send(bench, path, [body], expected=200, connections=64, headers=headers, **options)
