from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hub.net import AddressPolicy, Call, GuardedSession, MultiSender, Outcome

LOOPBACK = AddressPolicy(allow=["127.0.0.0/8", "::1/128"], ports=[0])


def finish(sender: MultiSender, count: int = 1, within: float = 10.0) -> list[tuple[Call, Outcome]]:
    """Poll until `count` calls have ended."""
    end = time.monotonic() + within
    done: list[tuple[Call, Outcome]] = []
    while len(done) < count and time.monotonic() < end:
        done += sender.poll(0.2)
    return done


@dataclass
class Client:
    """The two senders behind one face, for what both must do alike."""

    kind: str
    send: Callable[..., Outcome]

    def post(self, url: str, *, timeout: float = 5.0, body: bytes = b"{}", max_body: int = 16_384) -> Outcome:
        """One POST that must end at its deadline; a busy machine gets some room."""
        begun = time.monotonic()
        outcome = self.send(url, timeout, body, max_body)
        assert time.monotonic() - begun < timeout + 4
        assert "canary-query" not in outcome.message
        assert outcome.ok == (outcome.message == "")
        assert len(outcome.body) <= max_body
        return outcome


Connect = Callable[..., Client]


@pytest.fixture(params=["session", "multi"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes a client of either kind: `connect(policy=…, ca_file=…)`."""
    closing: list[Callable[[], Any]] = []

    def make(policy: AddressPolicy = LOOPBACK, ca_file: str | None = None) -> Client:
        if request.param == "session":
            session = GuardedSession(policy, ca_file=ca_file)
            closing.append(session.close)

            def send(url: str, timeout: float, body: bytes, max_body: int) -> Outcome:
                return session.call("POST", url, data=body, timeout=timeout, max_body=max_body)

            return Client("session", send)
        senders: dict[int, MultiSender] = {}

        def post(url: str, timeout: float, body: bytes, max_body: int) -> Outcome:
            if max_body not in senders:
                senders[max_body] = MultiSender(policy, max_in_flight=10, max_body=max_body, ca_file=ca_file)
                closing.append(senders[max_body].close)
            sender = senders[max_body]
            sender.add(Call("k", url, ["Content-Type: application/json"], body, timeout))
            [(call, outcome)] = finish(sender, within=timeout + 2)
            assert call.key == "k"
            return outcome

        return Client("multi", post)

    yield make
    for close in closing:
        close()


@pytest.fixture
def client(connect: Connect) -> Client:
    """Either client, with loopback allowed."""
    return connect()
