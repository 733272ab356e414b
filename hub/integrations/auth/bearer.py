"""A bearer token (RFC 6750, 2.1)."""

from __future__ import annotations

from typing import Any, Literal

from hub.integrations.auth.fields import WriteOnly
from hub.integrations.auth.mode import Mode, Parameters, Secrets
from hub.integrations.forms import Form


class BearerAuth(Form):
    """A token that was given to you once: `Authorization: Bearer …`."""

    mode: Literal["bearer"]
    token: WriteOnly = None


class Bearer:
    """Adds `Authorization: Bearer …`.

    Args:
        parameters: nothing but the mode.
        secrets: `token`.
    """

    def __init__(self, parameters: Parameters, secrets: Secrets) -> None:
        del parameters
        self._token = secrets["token"]

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request."""
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


MODE = Mode("bearer", BearerAuth, secrets=("token",), sign=Bearer)
