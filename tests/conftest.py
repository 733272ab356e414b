"""What holds for every test: the settings of the machine do not leak in, and calls may reach loopback only."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from hub.core.settings import get_settings

pytest_plugins = ["tests.support.servers"]

# How long examples take says more of the machine than of what is tested.
settings.register_profile("hub", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hub")

# What the tests start ends by Ctrl-C, also where a shell has its background jobs (`make test &`) ignore that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_KEPT = {"HUB_PG_BIN", "HUB_REDIS_BIN"}


_ACCEPTANCE, _FAULTS = "tests/acceptance/", "tests/faults/"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders whose few tests take longest begin: no process is left alone with them at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(_ACCEPTANCE))
    items.sort(key=lambda item: not item.nodeid.startswith((_ACCEPTANCE, _FAULTS)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file stays together in one process.

    So do all acceptance tests, which share one hub, and all fault tests: more hubs at once than two leave none of them
    the time that its tests expect.
    """
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - tests may run without it

    class Together(LoadFileScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            for together in (_ACCEPTANCE, _FAULTS):
                if nodeid.startswith(together):
                    return together
            return str(super()._split_scope(nodeid))

    return Together(config, log)


@pytest.fixture(autouse=True)
def _settings_of_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [n for n in os.environ if n.startswith("HUB_") and n not in _KEPT]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HUB_EGRESS_ALLOW", "127.0.0.0/8,::1/128")
    monkeypatch.setenv("HUB_EGRESS_PORTS", "0")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()
