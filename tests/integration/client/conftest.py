from __future__ import annotations

from tests.integration.client.served import served

__all__ = ["served"]
