"""Which transport an integration is called by: chosen by its type and protocol, loaded when it is first needed.

Some types have a transport of their own, whatever their protocol is called; of all others the protocol decides. Under
the protocol `custom` it comes from another package: `settings.transport` names its entry point in the group
`integration_hub.transports`. How such a package is written: `deploy/docs/transports.md`.
"""

from __future__ import annotations

import inspect
import logging
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid
from hub.integrations.operation import OperationForm
from hub.integrations.transports.interface import CustomSettings, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

log = logging.getLogger(__name__)

GROUP = "integration_hub.transports"

_HERE = "hub.integrations.transports"
_OF_PROTOCOL = {
    "rest": f"{_HERE}.http:RestTransport",
    "graphql": f"{_HERE}.graphql:GraphqlTransport",
    "websocket": f"{_HERE}.websocket:WebsocketTransport",
    "grpc": f"{_HERE}.grpc_calls:GrpcTransport",
    "soap": f"{_HERE}.soap:SoapTransport",
}
_OF_TYPE = {
    "database": f"{_HERE}.database:DatabaseTransport",
    "file_transfer": f"{_HERE}.files:FileTransport",
    "messaging": f"{_HERE}.messaging:MessagingTransport",
    "ai_service": f"{_HERE}.ai:AiTransport",
}
_BUILT_IN = {**_OF_PROTOCOL, **_OF_TYPE}


def transport_of(type_: str, protocol: str, settings: Mapping[str, Any]) -> Transport:
    """The transport of an integration.

    Args:
        type_: its type; some types have a transport of their own.
        protocol: its protocol.
        settings: of an integration of another package's transport: names it in `transport`.

    Raises:
        Invalid: there is no such transport here, or it cannot be used; names the field.
    """
    if type_ in _OF_TYPE:
        return _built_in(type_)
    if protocol in _OF_PROTOCOL:
        return _built_in(protocol)
    name = settings.get("transport")
    if not isinstance(name, str) or name not in _installed():
        known = ", ".join(sorted(_installed())) or "none"
        raise _invalid(
            "must name an installed transport; install the package that brings it and restart the hub"
            f" (installed: {known})"
        )
    found = _custom(name)
    if isinstance(found, str):
        raise _invalid(f"names a transport that cannot be used: {found}")
    return found


def built_in() -> dict[str, Transport]:
    """Every transport that comes with the hub, by name."""
    return {name: _built_in(name) for name in _BUILT_IN}


def custom() -> dict[str, Transport]:
    """Every transport of another package that can be used, by name; `transport_of` says what is wrong with others."""
    found = {name: _custom(name) for name in sorted(_installed())}
    return {name: one for name, one in found.items() if isinstance(one, Transport)}


@lru_cache
def _built_in(name: str) -> Transport:
    module, _, attribute = _BUILT_IN[name].partition(":")
    made: Transport = getattr(import_module(module), attribute)()
    return made


@lru_cache
def _installed() -> dict[str, tuple[EntryPoint, ...]]:
    found = entry_points(group=GROUP)
    return {name: tuple(found.select(name=name)) for name in found.names}


@lru_cache
def _custom(name: str) -> Transport | str:
    """The transport of an entry point, or why there is none: found out once, and logged for the operator."""
    entries = _installed()[name]
    if len(entries) > 1:
        return "more than one installed package has one of this name"
    if name in _BUILT_IN:
        return "its name is that of a built-in one"
    try:
        loaded = entries[0].load()
        made: Any = loaded() if inspect.isclass(loaded) else loaded
        fault = _fault_of(name, made)
    except ModuleNotFoundError as error:
        log.exception("The transport %s cannot be loaded.", name)
        return f"its package needs the module {error.name}, which is not installed"
    except Exception as error:  # somebody else's package may raise anything
        log.exception("The transport %s cannot be loaded.", name)
        return f"its package fails when it is loaded ({type(error).__name__}; the log has more)"
    transport: Transport = made
    return transport if fault is None else fault


def _fault_of(name: str, made: Any) -> str | None:
    """What is missing of the interface, of all that is read before a first call."""
    if not isinstance(made, Transport):
        return f"{name} is no {Transport.__module__}.Transport"
    if made.name != name:
        return f"its attribute `name` must be {name}, as its entry point is called"
    if not issubclass(made.settings_form, CustomSettings):
        return f"its `settings_form` must be a subclass of {CustomSettings.__name__}"
    if not issubclass(made.operation_form, OperationForm):
        return f"its `operation_form` must be a subclass of {OperationForm.__name__}"
    if not made.schemes or not made.auth_modes:
        return "its `schemes` and `auth_modes` must name something"
    return None


def _invalid(message: str) -> Invalid:
    return Invalid(f"settings.transport {message}.", fields=(FieldError("settings.transport", message),))
