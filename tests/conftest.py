"""What holds for every test: the settings of the machine do not leak in, and calls may reach loopback only."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hub.core.settings import get_settings

pytest_plugins = ["tests.support.servers"]

_KEPT = {"HUB_PG_BIN", "HUB_REDIS_BIN"}


#: Folders whose few tests take longest: they begin first, so that no process is left alone with them at the end.
_LONG = {"acceptance", "faults"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _LONG.isdisjoint(item.path.parts))


@pytest.fixture(autouse=True)
def _settings_of_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [n for n in os.environ if n.startswith("HUB_") and n not in _KEPT]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HUB_EGRESS_ALLOW", "127.0.0.0/8,::1/128")
    monkeypatch.setenv("HUB_EGRESS_PORTS", "0")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()
