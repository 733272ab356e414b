"""Which transport an integration is called by: chosen by its type and protocol, loaded when it is first needed.

Transports of other packages are found by their entry point in the group `integration_hub.transports`; the settings of
an integration of protocol `custom` name it.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.interface import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP = "integration_hub.transports"

_HERE = "hub.integrations.transports"
_BUILT_IN = {
    "rest": f"{_HERE}.http:RestTransport",
    "graphql": f"{_HERE}.graphql:GraphqlTransport",
    "websocket": f"{_HERE}.websocket:WebsocketTransport",
    "grpc": f"{_HERE}.grpc_calls:GrpcTransport",
    "soap": f"{_HERE}.soap:SoapTransport",
    "database": f"{_HERE}.database:DatabaseTransport",
    "file_transfer": f"{_HERE}.files:FileTransport",
    "messaging": f"{_HERE}.messaging:MessagingTransport",
    "ai_service": f"{_HERE}.ai:AiTransport",
}


def transport_of(type_: str, protocol: str, settings: Mapping[str, Any]) -> Transport:
    """The transport of an integration.

    Args:
        type_: its type; some types have a transport of their own.
        protocol: its protocol.
        settings: of an integration of another package's transport: names it in `transport`.

    Raises:
        Invalid: there is no such transport here; names the field.
    """
    if type_ in _BUILT_IN:
        return _built_in(type_)
    if protocol != "custom":
        return _built_in(protocol)
    name = settings.get("transport")
    found = _installed().get(name) if isinstance(name, str) else None
    if found is None:
        known = ", ".join(sorted(_installed())) or "none is installed"
        raise _invalid(f"must name an installed transport; there is {known}")
    try:
        return _custom(name if isinstance(name, str) else "")
    except Exception as error:  # noqa: BLE001 - somebody else's package may raise anything
        raise _invalid(f"{name} cannot be loaded ({type(error).__name__})") from None


def built_in() -> dict[str, Transport]:
    """Every transport that comes with the hub, by name."""
    return {name: _built_in(name) for name in _BUILT_IN}


def custom() -> dict[str, Transport]:
    """Every transport of another package that can be loaded, by name."""
    found = {}
    for name in _installed():
        try:
            found[name] = _custom(name)
        except Exception:  # noqa: BLE001, S112 - `transport_of` says what is wrong to who wants it
            continue
    return found


@lru_cache
def _built_in(name: str) -> Transport:
    module, _, attribute = _BUILT_IN[name].partition(":")
    made: Transport = getattr(import_module(module), attribute)()
    return made


@lru_cache
def _installed() -> dict[str, Any]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


@lru_cache
def _custom(name: str) -> Transport:
    loaded = _installed()[name].load()
    made = loaded() if inspect.isclass(loaded) else loaded
    if not isinstance(made, Transport):
        raise TypeError(name)
    return made


def _invalid(message: str) -> Invalid:
    return Invalid(f"settings.transport {message}.", fields=(FieldError("settings.transport", message),))
