"""Where the demo's services may be: on loopback, on ports that the hub may call."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hub.core.errors import ConfigError
from hub.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The provider's and the receivers'.
SERVICES = 2
_LOOPBACK = "127.0.0.0/8,::1/128"
# Below the ports that the system gives to outgoing connections: one that is free now is free in a minute.
_CANDIDATES = range(8410, 8500)
_MANY = 10


def open_loopback(environ: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Let a hub that is about to start call the demo's services, where the user did not decide otherwise.

    Args:
        environ: the variables that the hub would start with.

    Returns:
        The variables to start it with, and a line that says what was opened.

    Raises:
        ConfigError: no free port.
    """
    made: dict[str, str] = {}
    if not environ.get("HUB_EGRESS_ALLOW"):
        made["HUB_EGRESS_ALLOW"] = _LOOPBACK
    if not environ.get("HUB_EGRESS_PORTS"):
        usual: tuple[int, ...] = Settings.model_fields["egress_ports"].default
        made["HUB_EGRESS_PORTS"] = ",".join(map(str, (*usual, *free_ports(_CANDIDATES))))
    shown = " ".join(f"{name}={value}" for name, value in made.items())
    return {**environ, **made}, f"For the demo calls may reach this machine: {shown}" if made else None


def ports_for_services(allowed: Iterable[int]) -> list[int]:
    """Free ports that a hub may call.

    Args:
        allowed: HUB_EGRESS_PORTS of the hub; 0 among them is any.

    Raises:
        ConfigError: not enough of them are free.
    """
    known = list(allowed)
    # The last ones first: those were added for such services, 80 and 443 were not.
    return free_ports(_CANDIDATES if 0 in known else reversed(known))


def free_ports(candidates: Iterable[int]) -> list[int]:
    """The first two free ports on loopback.

    Raises:
        ConfigError: there are not two; names those that are taken.
    """
    found: list[int] = []
    missing: list[int] = []
    with ExitStack() as held:
        for port in candidates:
            tried = held.enter_context(socket.socket())
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
                tried.listen(1)
            except OSError:
                missing.append(port)
                continue
            found.append(port)
            if len(found) == SERVICES:
                return found
    raise ConfigError(
        f"The demo needs {SERVICES} free ports on this machine that the hub may call, and {_listed(missing)} cannot be"
        " had. Another demo that still runs (`hub up --demo`, `hub demo --stay`) holds two: end it, or start the hub"
        " itself with two more ports in its HUB_EGRESS_PORTS."
    )


def _listed(ports: list[int]) -> str:
    ordered = sorted(ports)
    if len(ordered) > _MANY:
        return f"{ordered[0]} to {ordered[-1]}"
    return ", ".join(map(str, ordered))
