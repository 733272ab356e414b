from __future__ import annotations

import pytest

from tests.integration.api.conftest import RunningHub, bell, hub, services, settings
from tests.integration.sources.provider import Sources

__all__ = ["bell", "hub", "services", "settings"]


@pytest.fixture
def sources(hub: RunningHub) -> Sources:
    return Sources(hub)
