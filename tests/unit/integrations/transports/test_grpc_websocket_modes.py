"""The authentication modes that the two transports name are modes that there are."""

from __future__ import annotations

import pytest

from hub.integrations.auth.registry import MODES
from hub.integrations.transports.grpc_calls import GrpcTransport
from hub.integrations.transports.interface import Transport
from hub.integrations.transports.websocket import WebsocketTransport


@pytest.mark.parametrize("transport", [GrpcTransport, WebsocketTransport])
def test_every_mode_of_a_transport_exists(transport: type[Transport]) -> None:
    assert transport.auth_modes <= MODES.keys()
