"""Servers that we did not write and that not every machine has: tests that want one are skipped without it.

Where everything is to be there, TEST_PEERS=required makes a failure of it.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def absent(reason: str) -> NoReturn:
    """End a test, or a fixture, that cannot go on.

    Args:
        reason: what is missing, and how to get it.
    """
    if os.environ.get("TEST_PEERS") == "required":
        pytest.fail(reason)
    pytest.skip(reason)
