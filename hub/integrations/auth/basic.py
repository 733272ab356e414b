"""User name and password (RFC 7617)."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.core.secret import Secret


def encode(parameters: Mapping[str, Any], secrets: Mapping[str, Secret]) -> str:
    """The credentials as they travel; in UTF-8, as RFC 7617, 2.1 prefers."""
    return b64encode(f"{parameters['username']}:{secrets['password'].reveal()}".encode()).decode()


class Basic:
    """Adds `Authorization: Basic …`.

    Args:
        parameters: `username`.
        secrets: `password`.
    """

    def __init__(self, parameters: Mapping[str, Any], secrets: Mapping[str, Secret]) -> None:
        self._parameters = parameters
        self._secrets = secrets

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request."""
        request.headers["Authorization"] = f"Basic {encode(self._parameters, self._secrets)}"
        return request
