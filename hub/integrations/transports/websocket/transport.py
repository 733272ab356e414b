"""The WebSocket transport: open a session, log in, send, collect, close; one session a call, never shared.

An operation's input is `{"messages": […]}`. The result is `{"messages": […], "close_code": …, "close_reason": …}`,
where the code is null unless the service closed the session. Compression is off by default and redirects of the
handshake are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.inputs import operation_of, parts_of
from hub.integrations.transports.interface import Connection, Prepared, Transport
from hub.integrations.transports.websocket import forms
from hub.integrations.transports.websocket.messages import NoMessageError, to_wire
from hub.integrations.transports.websocket.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.interface import Caps
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

#: All that sign one HTTP request in one step, or whose secrets a login message can name.
AUTH_MODES = frozenset(
    {
        "none",
        "api_key",
        "aws_sigv4",
        "basic",
        "bearer",
        "google_service_account",
        "hmac",
        "login_call",
        "mtls",
        "oauth1",
        "oauth2",
        "template",
    }
)


class WebsocketTransport(Transport):
    """Sessions with WebSocket services."""

    name: ClassVar[str] = "websocket"
    schemes: ClassVar[Mapping[str, int]] = forms.PORTS
    auth_modes: ClassVar[frozenset[str]] = AUTH_MODES
    settings_form: ClassVar[type[forms.WebsocketSettings]] = forms.WebsocketSettings
    operation_form: ClassVar[type[forms.WebsocketOperation]] = forms.WebsocketOperation

    def settings_faults(self, settings: Any, base_url: str) -> list[FieldError]:
        """What is wrong with the meaning of settings."""
        del base_url
        return forms.settings_faults(settings)

    def operation_faults(self, operation: Any, settings: Any, at: str) -> list[FieldError]:
        """What is wrong with the meaning of an operation."""
        del settings
        faults: list[FieldError] = []
        _all_to_wire(operation.messages, f"{at}.messages", faults)
        return faults + forms.operation_faults(operation, at)

    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        """Make what will be sent; see the module."""
        form: forms.WebsocketOperation = operation_of(connection, operation)
        messages = _messages(given, form, field)
        faults: list[FieldError] = []
        wires = _all_to_wire(messages, f"{field}.messages", faults)
        if faults:
            raise Invalid.of(faults)
        url = connection.base_url + form.path
        if form.query:
            url += f"?{urlencode(form.query)}"
        safe = bool(form.safe)
        return Prepared(
            method="websocket",
            endpoint=url,
            headers=dict(connection.headers),
            payload={"messages": messages},
            safe=safe,
            idempotent=safe if form.idempotent is None else form.idempotent,
            wire=(form, wires),
        )

    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        """Hold one session."""
        form, messages = prepared.wire
        return Session(session, connection, prepared, credentials, caps).run(messages, form.collect)

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """Open a session, log in where the settings say how, and close it."""
        nothing = Prepared(
            method="websocket",
            endpoint=connection.base_url,
            headers=dict(connection.headers),
            payload=None,
            safe=True,
            idempotent=True,
            wire=None,
        )
        return Session(session, connection, nothing, credentials, caps).run((), forms.Collect(count=0))


def _messages(given: Any, form: forms.WebsocketOperation, field: str) -> list[Any]:
    """The messages of an input; those of the operation when it has none."""
    faults: list[FieldError] = []
    given = parts_of({} if given is None else given, ("messages",), field, faults)
    messages = given.get("messages", form.messages)
    if not isinstance(messages, list):
        faults.append(FieldError(f"{field}.messages", 'must be a list such as ["ping", {"op": "subscribe"}]'))
    elif len(messages) > forms.MAX_MESSAGES:
        faults.append(
            FieldError(f"{field}.messages", f"has {len(messages)} messages; at most {forms.MAX_MESSAGES}")
        )
    if faults:
        raise Invalid.of(faults)
    return list(messages)


def _all_to_wire(messages: list[Any], at: str, faults: list[FieldError]) -> tuple[str | bytes, ...]:
    wires: list[str | bytes] = []
    for index, message in enumerate(messages):
        try:
            wires.append(to_wire(message))
        except NoMessageError as error:
            faults.append(FieldError(f"{at}.{index}", str(error)))
    return tuple(wires)
