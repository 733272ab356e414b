"""Where the demo's services may be."""

from __future__ import annotations

import socket

import pytest

from hub.core.errors import ConfigError
from hub.core.settings import load_settings
from hub.demo.egress import free_ports, open_loopback, ports_for_services


def test_loopback_is_opened_on_two_more_ports_and_the_line_says_so() -> None:
    environ, line = open_loopback({"PATH": "/bin"})
    settings = load_settings(environ)
    assert settings.egress_allow == ("127.0.0.0/8", "::1/128")
    assert settings.egress_ports[:4] == (80, 443, 8080, 8443)
    assert len(set(settings.egress_ports)) == 6
    assert line is not None
    assert f"HUB_EGRESS_PORTS={environ['HUB_EGRESS_PORTS']}" in line
    assert set(ports_for_services(settings.egress_ports)) == set(settings.egress_ports[4:])


def test_what_the_user_decided_stays() -> None:
    mine = {"HUB_EGRESS_ALLOW": "10.0.0.0/8", "HUB_EGRESS_PORTS": "443"}
    assert open_loopback(mine) == (mine, None)
    environ, line = open_loopback({"HUB_EGRESS_PORTS": "0"})
    assert environ["HUB_EGRESS_PORTS"] == "0"
    assert line is not None
    assert "PORTS" not in line


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port not in free_ports([port, *range(8410, 8500)])


def test_too_few_free_ports_are_a_sentence_that_names_those_that_are_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=f"{port} cannot be had.*demo that still runs.*HUB_EGRESS_PORTS"
        ):
            ports_for_services([port])


def test_where_any_port_may_be_called_two_are_found() -> None:
    assert len(set(ports_for_services([0]))) == 2
