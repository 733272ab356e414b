"""What a person says about a WebSocket service and its operations, and what is wrong with the meaning of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field

from hub.core.errors import FieldError, Invalid
from hub.core.headers import is_token, is_value
from hub.integrations.forms import Form
from hub.integrations.operation import OperationForm
from hub.integrations.transports.websocket.login import template_faults
from hub.transforms.filters import compile_filter

if TYPE_CHECKING:
    from collections.abc import Mapping

PORTS: Mapping[str, int] = {"ws": 80, "wss": 443}
MAX_MESSAGES = 1000
MAX_COLLECTED = 10_000

#: What a close code of the service's own means; the values are those of `hub.net.outcome.ErrorClass`.
Meaning = Literal["ok", "unauthorized", "rate_limited", "provider_busy", "provider_error"]
Codes = dict[Annotated[int, Field(ge=1000, le=4999)], Meaning]
#: Judged by `hub.transforms.filters`.
FilterSpec: TypeAlias = dict[str, Any]

# RFC 6454, 7: an origin has no path; "null" is one too.
_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[^/?#\s@\\]+")
_PATH = re.compile(r"(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%]*)+")


class Login(Form):
    """A first message that proves who calls, for services that authenticate inside of the session."""

    message: Any = Field(
        description='Text or JSON whose texts may name fields of the credentials: `{"token": "{{ token }}"}`.'
    )
    accepted: FilterSpec | None = Field(
        default=None,
        description="A filter over the service's messages; the first that matches says that the login succeeded. "
        "Unset: nothing is waited for.",
    )
    refused: FilterSpec | None = Field(
        default=None, description="A filter; a message that matches says that the credentials are refused."
    )
    also_in_handshake: bool = Field(
        default=False, description="Credentials go into the headers of the handshake, too."
    )


class WebsocketSettings(Form):
    """Of one service."""

    subprotocols: list[Annotated[str, Field(max_length=100)]] = Field(
        default=[], max_length=10, description="Offered in this order."
    )
    origin: str | None = Field(
        default=None, max_length=300, description="For services that check the Origin header."
    )
    ping_seconds: float | None = Field(
        default=20,
        ge=1,
        le=600,
        allow_inf_nan=False,
        description="A ping after so long a silence; a second silence ends the session. Null: never.",
    )
    max_message_bytes: int | None = Field(
        default=None,
        ge=1,
        le=67_108_864,
        description="Of one received message. Unset: the cap of the whole answer.",
    )
    compression: bool = Field(
        default=False, description="Offer permessage-deflate; decoded sizes stay inside the caps."
    )
    close_codes: Codes = Field(
        default={},
        max_length=100,
        description='What the service\'s close codes mean: {"4401": "unauthorized"}.',
    )
    login: Login | None = None


class Collect(Form):
    """When a session has what it came for. The first condition that holds ends it; none given: one message."""

    count: int | None = Field(
        default=None,
        ge=0,
        le=MAX_COLLECTED,
        description="So many messages were kept; 0 does not wait for any.",
    )
    until: FilterSpec | None = Field(
        default=None, description="A filter; a message matches it (looked at before `only` and `skip`)."
    )
    seconds: float | None = Field(
        default=None,
        gt=0,
        le=600,
        allow_inf_nan=False,
        description="So long after the last message was sent.",
    )
    close: bool = Field(default=False, description="The service closed the session normally.")
    only: FilterSpec | None = Field(default=None, description="A filter; other messages are left out.")
    skip: int = Field(
        default=0,
        ge=0,
        le=MAX_COLLECTED,
        description="So many of the first ones that pass `only` are left out.",
    )

    @property
    def wanted(self) -> int | None:
        """How many messages end the session; None when something else does."""
        unset = self.count is None and self.until is None and self.seconds is None and not self.close
        return 1 if unset else self.count


class WebsocketOperation(OperationForm):
    """One kind of session."""

    path: str = Field(default="", max_length=1024, description="After the path of `base_url`; begins with /.")
    query: dict[str, str] = Field(default={}, max_length=30, description="Of the handshake's address.")
    messages: list[Any] = Field(
        default=[], max_length=MAX_MESSAGES, description="Sent when the input has no `messages`."
    )
    collect: Collect = Collect()


def settings_faults(settings: WebsocketSettings) -> list[FieldError]:
    """What is wrong with the meaning of settings; paths begin with `settings.`."""
    faults = []
    for index, name in enumerate(settings.subprotocols):
        if not is_token(name):
            faults.append(
                FieldError(
                    f"settings.subprotocols.{index}", "is no token (letters, digits and !#$%&'*+-.^_`|~)"
                )
            )
    if len(set(settings.subprotocols)) < len(settings.subprotocols):
        faults.append(FieldError("settings.subprotocols", "names a subprotocol twice"))
    if settings.origin is not None and not (_ORIGIN.fullmatch(settings.origin) and is_value(settings.origin)):
        faults.append(FieldError("settings.origin", "must be like https://app.example.com, without a path"))
    if settings.login is not None:
        login = settings.login
        faults += template_faults(login.message, "settings.login.message")
        faults += filter_faults(login.accepted, "settings.login.accepted")
        faults += filter_faults(login.refused, "settings.login.refused")
        if login.refused is not None and login.accepted is None:
            faults.append(
                FieldError(
                    "settings.login.accepted", "is needed with `refused`: what else would end the wait?"
                )
            )
    return faults


def operation_faults(operation: WebsocketOperation, at: str) -> list[FieldError]:
    """What is wrong with the meaning of an operation, but for its messages; paths begin with `at`."""
    faults = []
    if operation.path and (not _PATH.fullmatch(operation.path) or _climbs(operation.path)):
        faults.append(
            FieldError(
                f"{at}.path", "must be like /stream/v1: percent-encoded, without `.` and `..` parts, ? and #"
            )
        )
    for name, value in operation.query.items():
        if not (is_value(name) and is_value(value)) or not name:
            faults.append(FieldError(f"{at}.query", "names and values are printable ASCII characters only"))
            break
    faults += filter_faults(operation.collect.until, f"{at}.collect.until")
    return faults + filter_faults(operation.collect.only, f"{at}.collect.only")


def filter_faults(spec: FilterSpec | None, at: str) -> list[FieldError]:
    """What is wrong with a filter."""
    if spec is None:
        return []
    try:
        compile_filter(spec, field=at)
    except Invalid as error:
        return list(error.fields)
    return []


def _climbs(path: str) -> bool:
    parts = path.lower().replace("%2e", ".").split("/")
    return "." in parts or ".." in parts
