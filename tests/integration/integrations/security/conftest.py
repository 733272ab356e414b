from __future__ import annotations

from tests.integration.integrations.conftest import provider, world

__all__ = ["provider", "world"]
