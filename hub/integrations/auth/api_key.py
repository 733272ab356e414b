"""An API key in a header, a query parameter or a cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.core.secret import Secret


class ApiKey:
    """Adds the key where the provider wants it.

    Args:
        parameters: `in` (header, query or cookie) and `name`.
        secrets: `key`.
    """

    def __init__(self, parameters: Mapping[str, Any], secrets: Mapping[str, Secret]) -> None:
        self._place: str = parameters["in"]
        self._name: str = parameters["name"]
        self._key = secrets["key"]

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request."""
        if self._place == "query":
            request.prepare_url(request.url, {self._name: self._key.reveal()})
        elif self._place == "cookie":
            pair = f"{self._name}={quote(self._key.reveal(), safe='')}"
            given = request.headers.get("Cookie")
            request.headers["Cookie"] = f"{given}; {pair}" if given else pair
        else:
            request.headers[self._name] = self._key.reveal()
        return request
