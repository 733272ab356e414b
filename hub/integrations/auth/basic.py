"""User name and password (RFC 7617)."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Literal

from hub.integrations.auth.fields import UserName, WriteOnly
from hub.integrations.auth.mode import Mode, Parameters, Secrets
from hub.integrations.forms import Form


class BasicAuth(Form):
    """User name and password: HTTP basic authentication, or a login where the protocol has one."""

    mode: Literal["basic"]
    username: UserName
    password: WriteOnly = None


def encode_pair(username: str, password: str) -> str:
    """The two as they travel; in UTF-8, as RFC 7617, 2.1 prefers."""
    return b64encode(f"{username}:{password}".encode()).decode()


def encode(parameters: Parameters, secrets: Secrets) -> str:
    """The credentials as they travel."""
    return encode_pair(parameters["username"], secrets["password"].reveal())


class Basic:
    """Adds `Authorization: Basic …`.

    Args:
        parameters: `username`.
        secrets: `password`.
    """

    def __init__(self, parameters: Parameters, secrets: Secrets) -> None:
        self._parameters = parameters
        self._secrets = secrets

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request."""
        request.headers["Authorization"] = f"Basic {encode(self._parameters, self._secrets)}"
        return request


def traces(parameters: Parameters, secrets: Secrets) -> list[str]:
    """The password, and the pair in base64."""
    return [secrets["password"].reveal(), encode(parameters, secrets)]


MODE = Mode(
    "basic",
    BasicAuth,
    secrets=("password",),
    sign=Basic,
    traces=traces,
    any_text=frozenset({"password"}),
)
