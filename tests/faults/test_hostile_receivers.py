"""Receivers that misbehave, each in its turn and then all at once: a deliver worker's sender stays in time and small.

The sender runs in a process of its own, so that its memory is its own and a receiver cannot borrow its time.
"""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hub.net.outcome import ErrorClass as E
from tests.integration.net.hostile import (
    OK,
    RESET_ON_CLOSE,
    Behaviour,
    Server,
    answers,
    drips,
    floods,
    free_port,
    resets,
    silent,
)

pytestmark = pytest.mark.faults

CAP = 16_384
TIMEOUT = 1.0
MIB = 1_048_576
HEAD = b"HTTP/1.1 200 OK\r\n"
_BOMB = gzip.compress(bytes(300_000_000), 9)


def _resets_at_once(server: Server, sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def _closes_at_once(server: Server, sock: socket.socket) -> None:
    pass


def _redirects(server: Server, sock: socket.socket) -> None:
    while server.read_request(sock):
        sock.sendall(f"HTTP/1.1 302 On\r\nLocation: {server.url}\r\nContent-Length: 0\r\n\r\n".encode())


Receiver = tuple[Behaviour, set[E | None]]

RECEIVERS: dict[str, Receiver] = {
    "good": (answers(OK), {None}),
    "header drip": (drips(HEAD, b"X: 1\r\n", every=0.3), {E.TIMEOUT}),
    "status line drip": (drips(b"HTTP/1.1 ", b"2", every=0.3), {E.TIMEOUT, E.PROTOCOL}),
    "body drip": (drips(HEAD + b"Content-Length: 9999\r\n\r\n", b".", every=0.3), {E.TIMEOUT}),
    "endless body": (floods(HEAD + b"\r\n", b"x" * 60_000), {None}),
    "endless failure": (floods(b"HTTP/1.1 500 No\r\n\r\n", b"x" * 60_000), {E.HTTP_5XX}),
    "endless chunks": (
        floods(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n.\r\n" * 10_000),
        {None},
    ),
    "endless chunk extension": (
        floods(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 60_000),
        {E.TIMEOUT},
    ),
    "endless headers": (floods(HEAD, b"X-Flood: " + b"x" * 1000 + b"\r\n"), {E.PROTOCOL}),
    "endless header line": (floods(HEAD + b"X-Flood: ", b"x" * 60_000), {E.PROTOCOL}),
    "endless small headers": (floods(HEAD, b"a:b\r\n" * 1000), {E.PROTOCOL}),
    "endless interim answers": (floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), {E.PROTOCOL}),
    "endless status line": (floods(b"HTTP/1.1 200 ", b"O" * 60_000), {E.PROTOCOL}),
    "endless trailers": (
        floods(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000),
        {E.PROTOCOL},
    ),
    "gzip bomb": (
        answers(
            HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_BOMB) + _BOMB, close=True
        ),
        {None},
    ),
    "endless gzip of nothing": (
        floods(HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"")),
        {E.TIMEOUT, E.PROTOCOL, None},
    ),
    "garbage": (answers(b"\0\1\2 no sense\r\n\r\n", close=True), {E.PROTOCOL}),
    "endless garbage": (floods(b"", bytes(60_000)), {E.PROTOCOL}),
    "HTTP/0.9": (answers(b"<html>", close=True), {E.PROTOCOL}),
    "reset at once": (_resets_at_once, {E.RESET, E.CONNECT_REFUSED}),
    "reset after the request": (resets(b""), {E.RESET}),
    "reset in the headers": (resets(HEAD + b"X: 1\r\n"), {E.RESET}),
    "reset in the body": (resets(HEAD + b"Content-Length: 100\r\n\r\npart"), {E.RESET}),
    "closes at once": (_closes_at_once, {E.RESET}),
    "short body": (answers(HEAD + b"Content-Length: 10\r\n\r\nshort", close=True), {E.PROTOCOL}),
    "negative length": (answers(HEAD + b"Content-Length: -1\r\n\r\n", close=True), {E.PROTOCOL}),
    "never reads": (silent, {E.TIMEOUT}),
    "redirects": (_redirects, {E.REDIRECT}),
}

_SENDER = """
import json, re, sys, time
from hub.net import AddressPolicy, Call, MultiSender

def status(field):
    return int(re.search(field + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

def send(sender, urls, body, timeout):
    begun = time.monotonic()
    for name, url in urls:
        sender.add(Call(name, url, ["Content-Type: application/json"], body, timeout))
    outcomes = []
    while sender.in_flight:
        for call, outcome in sender.poll(0.1):
            outcomes.append({
                "name": call.key, "error": outcome.error_class, "seconds": time.monotonic() - begun,
                "body": len(outcome.body),
            })
    return outcomes

sender = MultiSender(AddressPolicy(allow=["127.0.0.0/8"], ports=[0]), max_in_flight=500, max_body=%(cap)d)
for line in sys.stdin:
    job = json.loads(line)
    body = b"x" * job["size"]
    before = status("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
    outcomes = send(sender, job["urls"], body, job["timeout"])
    print(json.dumps({"outcomes": outcomes, "grown": status("VmHWM") - before}), flush=True)
"""


class Sender:
    """A MultiSender in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def send(self, urls: list[tuple[str, str]], *, timeout: float = TIMEOUT, size: int = 100) -> Any:
        """Make these calls at once; the outcomes, and by how many bytes the process grew meanwhile."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"urls": urls, "timeout": timeout, "size": size}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def sender() -> Iterator[Sender]:
    """Warm: what Python and libcurl load with the first calls is no receiver's doing."""
    command = [sys.executable, "-c", _SENDER % {"cap": CAP}]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as process:
        made = Sender(process)
        with Server(answers(OK)).running() as server:
            made.send([("warm", server.url)] * 20)
        made.send([("refused", f"http://127.0.0.1:{free_port()}/")])
        yield made
        process.kill()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("name", RECEIVERS)
def test_a_hostile_receiver_ends_in_time_by_its_name_and_costs_no_memory(sender: Sender, name: str) -> None:
    behave, expected = RECEIVERS[name]
    with Server(behave).running() as server:
        result = sender.send([(name, server.url)])
    [outcome] = result["outcomes"]
    assert outcome["error"] in expected
    assert outcome["seconds"] < TIMEOUT + 3
    assert outcome["body"] <= CAP
    assert result["grown"] <= CAP + MIB


def test_a_receiver_that_never_reads_a_large_body_ends_in_time(sender: Sender) -> None:
    with Server(silent).running() as server:
        [outcome] = sender.send([("large", server.url)], size=20_000_000)["outcomes"]
    assert outcome["error"] == E.TIMEOUT
    assert outcome["seconds"] < TIMEOUT + 3


def test_all_of_them_at_once_hold_up_no_good_receiver(sender: Sender) -> None:
    """A few floods are as much as this machine's loopback can carry at once; the rest is all of them."""
    flooding = {name for name in RECEIVERS if name.startswith("endless")}
    names = [name for name in RECEIVERS if name not in flooding] * 5 + sorted(flooding)
    with ExitStack() as stack:
        urls = {name: stack.enter_context(Server(RECEIVERS[name][0]).running()).url for name in RECEIVERS}
        result = sender.send([(name, urls[name]) for name in names], timeout=5.0)
    assert len(result["outcomes"]) == len(names)
    for outcome in result["outcomes"]:
        assert outcome["error"] in RECEIVERS[outcome["name"]][1], outcome["name"]
        assert outcome["seconds"] < 5.0 + 3, outcome["name"]
        if outcome["name"] == "good":
            assert outcome["seconds"] < 4.0
    assert result["grown"] <= len(names) * CAP + 16 * MIB
