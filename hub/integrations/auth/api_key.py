"""An API key in a header, a query parameter, a cookie, or as the user name of basic authentication."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field

from hub.core.errors import FieldError
from hub.core.headers import is_token
from hub.integrations.auth import basic
from hub.integrations.auth.fields import Shown, WriteOnly, header_name_faults, text_at
from hub.integrations.auth.mode import Mode, Parameters, Secrets
from hub.integrations.auth.placing import add_cookie, add_query
from hub.integrations.forms import Form

_NAME = "X-API-Key"


class ApiKeyAuth(Form):
    """A key in a header, a query parameter or a cookie, or in place of a user name.

    `{"mode": "api_key", "in": "header", "name": "Authorization", "prefix": "Token ", "key": "…"}`
    """

    mode: Literal["api_key"]
    in_: Literal["header", "query", "cookie", "basic"] = Field(
        default="header",
        alias="in",
        description="`basic`: the key is the user name of HTTP basic authentication.",
    )
    name: str = Field(
        default=_NAME,
        min_length=1,
        max_length=128,
        description="Of the header, parameter or cookie. `basic` has none.",
    )
    prefix: Annotated[Shown, Field(max_length=64)] = Field(
        default="", description="Stands before the key, such as `Token ` with its space."
    )
    basic_password: Annotated[Shown, Field(max_length=64)] = Field(
        default="", description="For `basic`: what the service wants as the password; often nothing, or `x`."
    )
    key: WriteOnly = None


class ApiKey:
    """Adds the key where the provider wants it.

    Args:
        parameters: `in` (header, query, cookie or basic), `name`, `prefix`, `basic_password`.
        secrets: `key`.
    """

    def __init__(self, parameters: Parameters, secrets: Secrets) -> None:
        self._place: str = parameters["in"]
        self._name: str = parameters["name"]
        self._prefix: str = parameters.get("prefix", "")
        self._password: str = parameters.get("basic_password", "")
        self._key = secrets["key"]

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request."""
        value = f"{self._prefix}{self._key.reveal()}"
        if self._place == "query":
            add_query(request, {self._name: value})
        elif self._place == "cookie":
            add_cookie(request, self._name, quote(value, safe=""))
        elif self._place == "basic":
            request.headers["Authorization"] = f"Basic {basic.encode_pair(value, self._password)}"
        else:
            request.headers[self._name] = value
        return request


def traces(parameters: Parameters, secrets: Secrets) -> list[str]:
    """The key, and what basic authentication makes of it."""
    key = secrets["key"].reveal()
    if parameters["in"] != "basic":
        return [key]
    pair = basic.encode_pair(f"{parameters.get('prefix', '')}{key}", parameters.get("basic_password", ""))
    return [key, pair]


def faults(given: Parameters) -> list[FieldError]:
    """What is wrong beyond the form."""
    place, name = text_at(given, "in", "header"), text_at(given, "name", _NAME)
    found: list[FieldError] = []
    if place == "header":
        found += header_name_faults(name, "auth.name")
    elif place == "cookie" and not is_token(name):
        found.append(FieldError("auth.name", "is no name of a cookie (letters, digits and -, no spaces)"))
    if place == "basic" and (":" in text_at(given, "key") or ":" in text_at(given, "prefix")):
        found.append(FieldError("auth.key", "must not have a colon: it ends the user name (RFC 7617, 2)"))
    # Not its default: that is what a definition that was read and sent back says.
    if place == "basic" and name != _NAME:
        found.append(FieldError("auth.name", "has no meaning with `in` basic; leave it out"))
    if place != "basic" and text_at(given, "basic_password"):
        found.append(FieldError("auth.basic_password", "has a meaning only with `in` basic"))
    return found


MODE = Mode("api_key", ApiKeyAuth, secrets=("key",), sign=ApiKey, traces=traces, faults=faults)
