from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.integration.integrations.grants.world import World
from tests.support.oidc import Oidc, serving_oidc


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    made = World.on(engine)
    yield made
    made.close()


@pytest.fixture(scope="module")
def oidc() -> Iterator[Oidc]:
    """An authorization server whose access tokens live for an hour."""
    with serving_oidc() as running:
        yield running
