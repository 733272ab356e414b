"""What a call asks for, before its description is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.transports.interface import Connection


@dataclass(frozen=True, slots=True)
class Request:
    """One call.

    Args:
        operation: its name in the WSDL.
        body: the arguments.
        headers: SOAP headers.
        field: where they stand, for errors.
        named_at: where the operation is named, for errors.
    """

    operation: str
    body: Mapping[str, Any]
    headers: Mapping[str, Any]
    field: str
    named_at: str


def address_of(connection: Connection) -> str:
    """Where calls go, unless the settings leave that to the WSDL."""
    return f"{connection.base_url}{connection.settings.path}"
