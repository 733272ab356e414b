from __future__ import annotations

from tests.integration.api.conftest import bell, hub, services, settings

__all__ = ["bell", "hub", "services", "settings"]
