"""The package `grpc`, loaded at the first call.

Its core starts threads and must not be there when a process forks, so nothing loads it before a worker makes its
first call. What it would write to the error stream is in the outcome of the call that it is about.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from importlib import import_module
from typing import Any


@lru_cache(maxsize=1)
def grpc() -> Any:
    """The package."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # It logs texts of services that are no UTF-8, which may repeat a secret.
    logging.getLogger("grpc").setLevel(logging.CRITICAL)
    return import_module("grpc")
