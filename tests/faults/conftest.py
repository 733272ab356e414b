"""A hub for each file of tests, durable as in production; it survives one fault after the other."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.support.receivers import FastReceiver
from tests.support.stack import BREAKABLE, RunningHub


@pytest.fixture(scope="module")
def _hub() -> Iterator[RunningHub]:
    with RunningHub(BREAKABLE, durable=True) as running:
        yield running


@pytest.fixture
def hub(_hub: RunningHub) -> RunningHub:
    """A whole hub with short leases."""
    _hub.heal()
    return _hub


@pytest.fixture
def receiver(hub: RunningHub) -> Iterator[FastReceiver]:
    """A receiver that takes 50 ms to answer, so that something is in flight at any moment."""
    with FastReceiver(hub.directory, delay=0.05) as made:
        yield made


@pytest.fixture
def word(hub: RunningHub, receiver: FastReceiver) -> str:
    """An event type with one endpoint."""
    word = f"t{secrets.token_hex(6)}"
    hub.http.create_endpoint(
        name=word,
        url=f"{receiver.url}/ok",
        event_types=[word],
        retry_policy={"strategy": "fixed", "initial_seconds": 0.2, "max_retries": 20},
    )
    return word
