"""A Google service account: its JSON key signs a JWT that is exchanged for a token.

Source: "Using OAuth 2.0 for server to server applications" (developers.google.com/identity/protocols/oauth2/
service-account). The key's own `token_uri` is not followed: a key file from elsewhere must not choose where the hub
sends a signed assertion.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from hub.core.errors import FieldError
from hub.integrations.auth.mode import Mode, Parameters
from hub.integrations.auth.oauth2 import Carried
from hub.integrations.forms import Form

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address

_PARTS = ("client_email", "private_key")


class GoogleServiceAccountAuth(Form):
    """Which account, for what."""

    mode: Literal["google_service_account"]
    scopes: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(min_length=1, max_length=100)
    subject: str | None = Field(
        default=None,
        min_length=1,
        max_length=320,
        description="The user on whose behalf it acts (domain-wide delegation).",
    )
    key: SecretStr | None = Field(default=None, description="The JSON key file, as it was downloaded.")


def read_key(text: str) -> dict[str, Any] | None:
    """The key file's content; None when it is no service account's."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("type") != "service_account":
        return None
    return found if all(isinstance(found.get(part), str) and found[part] for part in _PARTS) else None


def faults(given: Parameters) -> list[FieldError]:
    """What is wrong with the meaning of an `auth` object."""
    key = given.get("key")
    if isinstance(key, str) and key and read_key(key) is None:
        message = (
            "must be a service account's JSON key: type `service_account`, `client_email`, `private_key`"
        )
        return [FieldError("auth.key", message)]
    return []


MODE = Mode(
    name="google_service_account",
    form=GoogleServiceAccountAuth,
    secrets=("key",),
    sign=Carried,
    faults=faults,
    obtains=True,
    any_text=frozenset({"key"}),
)
