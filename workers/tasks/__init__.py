"""One short file for each task: read the payload, call the product, return what Flower should show."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import every task module, which registers its task."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
