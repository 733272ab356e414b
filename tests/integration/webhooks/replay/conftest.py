from __future__ import annotations

import pytest

from tests.integration.webhooks.conftest import receiver, world
from tests.integration.webhooks.replay.past import Past
from tests.integration.webhooks.world import World

__all__ = ["receiver", "world"]


@pytest.fixture
def past(world: World) -> Past:
    return Past(world)
