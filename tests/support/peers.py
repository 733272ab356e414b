"""Servers that we did not write and that not every machine has: tests that want one are skipped without it.

TEST_PEERS names those that must be there, with spaces between: without one of these a test fails.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def absent(peer: str, reason: str) -> NoReturn:
    """End a test, or a fixture, that cannot go on.

    Args:
        peer: what is missing, as TEST_PEERS names it: `mariadb`, `rabbitmq`, `node` (what `tests/support/node` holds),
            `curl`, `chromium`.
        reason: the same as a sentence, and how to get it.
    """
    if peer in os.environ.get("TEST_PEERS", "").split():
        pytest.fail(reason)
    pytest.skip(reason)
