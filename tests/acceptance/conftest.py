"""One real hub for all acceptance tests, gone when the last has ended; a test that stops a part of it starts that part
again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.support.receivers import Inbox
from tests.support.stack import RunningHub

#: For Flower, which runs too; a test looks for the password where it must not be.
FLOWER_LOGIN = "hub:canary-flower-Kd83Jq"


@pytest.fixture(scope="package")
def hub() -> Iterator[RunningHub]:
    """A hub with a tenant and a key for everything: `.url`, `.api_key`, `.tenant`, `.engine`, `.processes` …"""
    with RunningHub(flower_login=FLOWER_LOGIN) as running:
        yield running


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A receiver of the test's own that keeps whole requests and answers as the test says."""
    with Inbox() as made:
        yield made


@pytest.fixture
def word() -> str:
    """A word that no other test uses, for names and event types."""
    return f"t{secrets.token_hex(6)}"
