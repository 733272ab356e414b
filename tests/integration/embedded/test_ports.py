"""Ports that are taken are named before anything starts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from hub.core.errors import ConfigError
from hub.core.settings import load_settings
from hub.embedded.ports import require_ports
from hub.embedded.stack import Stack


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_named_with_its_setting(taken: int, host: str) -> None:
    settings = load_settings({"HUB_API_HOST": host, "HUB_API_PORT": str(taken), "HUB_FLOWER_PORT": "0"})
    with pytest.raises(ConfigError, match=f"Port {taken} is taken; set HUB_API_PORT"):
        require_ports(settings, flower=True)


def test_flowers_port_matters_only_when_flower_is_started(taken: int) -> None:
    settings = load_settings({"HUB_API_PORT": "0", "HUB_FLOWER_PORT": str(taken)})
    require_ports(settings, flower=False)
    with pytest.raises(ConfigError, match="HUB_FLOWER_PORT"):
        require_ports(settings, flower=True)


def test_an_address_that_is_not_ours_is_named() -> None:
    settings = load_settings({"HUB_API_HOST": "192.0.2.1", "HUB_API_PORT": "0"})
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:0 cannot be listened on .*HUB_API_HOST"):
        require_ports(settings, flower=False)


def test_nothing_is_started_or_made_beside_a_taken_port(taken: int, tmp_path: Path) -> None:
    environ = {"HUB_DATA_DIR": str(tmp_path / "data"), "HUB_API_PORT": str(taken)}
    stack = Stack(environ, check=partial(require_ports, flower=False))
    with pytest.raises(ConfigError, match="HUB_API_PORT"), stack:
        pytest.fail("the stack started")
    assert not stack.processes
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["hub.lock"]
