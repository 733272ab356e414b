from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.integration.integrations.provider import Provider, serving_provider
from tests.integration.webhooks.world import World, running_world


@pytest.fixture
def receiver() -> Iterator[Provider]:
    with serving_provider() as running:
        yield running


@pytest.fixture
def world(engine: Engine, database_url: str) -> Iterator[World]:
    with running_world(engine, database_url) as made:
        yield made
