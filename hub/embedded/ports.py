"""The ports that a hub is about to listen on are free: said before anything starts.

A readiness check asks a port, and whoever holds it answers; a hub beside another one would look ready and crash for
ever.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from hub.core.errors import ConfigError

if TYPE_CHECKING:
    from hub.core.settings import Settings


def require_ports(settings: Settings, *, flower: bool) -> None:
    """Check that the API, and Flower if it is started, can listen where the settings say.

    Args:
        settings: the hub's settings.
        flower: whether Flower is started.

    Raises:
        ConfigError: names the first port that is taken, and its setting.
    """
    _require(settings.api_host, settings.api_port, "HUB_API")
    if flower:
        _require(settings.flower_host, settings.flower_port, "HUB_FLOWER")


def _require(host: str, port: int, setting: str) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            # As the servers do: connections of a predecessor that are still closing are no obstacle.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {port} is taken; set {setting}_PORT to another one, or stop what listens there."
            ) from None
        # A resolver's error number is none of the system's, and its words are its own.
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise ConfigError(
            f"{host}:{port} cannot be listened on ({why}): see {setting}_HOST and {setting}_PORT."
        ) from None
