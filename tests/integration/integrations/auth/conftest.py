from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.net.policy import AddressPolicy
from hub.net.session import GuardedSession
from tests.integration.integrations.auth.served import Served, serving_httpbin


@pytest.fixture
def session() -> Iterator[GuardedSession]:
    """A way out that may reach loopback."""
    session = GuardedSession(AddressPolicy(allow=["127.0.0.0/8"], ports=[0]))
    yield session
    session.close()


@pytest.fixture
def httpbin() -> Iterator[Served]:
    with serving_httpbin() as served:
        yield served
