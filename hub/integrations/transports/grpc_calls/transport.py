"""The gRPC transport: unary calls, and streams that are collected.

An operation's input is `{"message": {…}}`, or `{"messages": [{…}, …]}` for a method that takes a stream, and
`metadata` beside it. The result of one answer is its JSON, that of a stream `{"messages": […]}`; after an error the
body is `{"error": {"code", "status", "message", "details"}}`, with the messages that had come; details are those of
`google.rpc.Status`, where the service sent some.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hub.core.errors import FieldError, Invalid
from hub.integrations.extras import lack_of
from hub.integrations.transports.grpc_calls import forms
from hub.integrations.transports.grpc_calls.channels import Channels
from hub.integrations.transports.inputs import operation_of, parts_of
from hub.integrations.transports.interface import Prepared, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

#: All that sign one HTTP request in one step.
AUTH_MODES = frozenset(
    {
        "none",
        "api_key",
        "basic",
        "bearer",
        "google_service_account",
        "login_call",
        "mtls",
        "oauth2",
        "template",
    }
)


@dataclass(frozen=True, slots=True)
class Wire:
    """What is sent.

    Args:
        operation: its form.
        messages: as JSON objects.
        several: they were given as a list.
        metadata: of operation and input.
        field: where the input stands, for errors that can only be found with the service's types.
    """

    operation: forms.GrpcOperation
    messages: tuple[dict[str, Any], ...]
    several: bool
    metadata: Mapping[str, str]
    field: str


class GrpcTransport(Transport):
    """Calls of gRPC services."""

    name: ClassVar[str] = "grpc"
    schemes: ClassVar[Mapping[str, int]] = forms.PORTS
    auth_modes: ClassVar[frozenset[str]] = AUTH_MODES
    settings_form: ClassVar[type[forms.GrpcSettings]] = forms.GrpcSettings
    operation_form: ClassVar[type[forms.GrpcOperation]] = forms.GrpcOperation

    def __init__(self) -> None:
        # Empty until the first call, so that nothing of gRPC is there when a process forks.
        self._channels = Channels()

    def settings_faults(self, settings: Any, base_url: str) -> list[FieldError]:
        """What is wrong with the meaning of settings; the descriptor set is read."""
        faults = forms.address_faults(base_url) + forms.settings_faults(settings)
        lack = lack_of("grpc")
        if lack is not None:
            return [*faults, FieldError("protocol", lack)]
        if settings.descriptor_set is not None:
            from hub.integrations.transports.grpc_calls import schema

            try:
                schema.from_text(settings.descriptor_set)
            except schema.BadSchemaError as error:
                faults.append(FieldError("settings.descriptor_set", str(error)))
        return faults

    def operation_faults(self, operation: Any, settings: Any, at: str) -> list[FieldError]:
        """What is wrong with the meaning of an operation; with a descriptor set, method and message are checked."""
        faults = forms.method_faults(operation, at)
        if faults or settings is None or settings.descriptor_set is None or lack_of("grpc") is not None:
            return faults
        from hub.integrations.transports.grpc_calls import fitting, schema

        try:
            types = schema.from_text(settings.descriptor_set)
        except schema.BadSchemaError:
            return faults
        return fitting.operation_faults(types, operation, at)

    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        """Make what will be sent; see the module. With a descriptor set, messages are checked now."""
        form: forms.GrpcOperation = operation_of(connection, operation)
        settings: forms.GrpcSettings = connection.settings
        wire = _wire(form, connection.headers, given, field)
        safe = idempotent = False
        lack = lack_of("grpc")
        if lack is not None:
            raise Invalid.of([FieldError("protocol", lack)])
        if settings.descriptor_set is not None:
            from hub.integrations.transports.grpc_calls import fitting, schema

            try:
                types = schema.from_text(settings.descriptor_set)
            except schema.BadSchemaError as error:
                raise Invalid.of([FieldError("settings.descriptor_set", str(error))]) from None
            method = fitting.fit(types, wire).method
            safe, idempotent = method.safe, method.idempotent
        safe = safe if form.safe is None else form.safe
        payload: dict[str, Any] = (
            {"messages": list(wire.messages)} if wire.several else {"message": wire.messages[0]}
        )
        return Prepared(
            method=form.method,
            endpoint=f"{connection.base_url}/{form.method}",
            headers=wire.metadata,
            payload=payload,
            safe=safe,
            idempotent=(idempotent or safe) if form.idempotent is None else form.idempotent,
            wire=wire,
        )

    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        """Make the call."""
        from hub.integrations.transports.grpc_calls.session import Session

        calling = Session(
            self._channels, session, connection, credentials, caps, repeatable=prepared.idempotent
        )
        return calling.call(prepared.wire)

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """Ask for the service's health, or for its types, or connect at least, as the settings let."""
        from hub.integrations.transports.grpc_calls.session import Session

        return Session(self._channels, session, connection, credentials, caps).probe()

    def close(self) -> None:
        """Close the channels that nobody uses."""
        self._channels.close()


def _wire(form: forms.GrpcOperation, headers: Mapping[str, str], given: Any, field: str) -> Wire:
    """What an input says, before its messages are looked at. Headers of the integration are metadata here."""
    faults: list[FieldError] = []
    given = parts_of({} if given is None else given, ("message", "messages", "metadata"), field, faults)
    several = "messages" in given
    if several and "message" in given:
        faults.append(FieldError(f"{field}.messages", "stands beside `message`; give one of them"))
    messages = given["messages"] if several else [given.get("message") or {}]
    if not isinstance(messages, list):
        faults.append(FieldError(f"{field}.messages", "must be a list of objects"))
        messages = []
    if len(messages) > forms.MAX_MESSAGES:
        faults.append(
            FieldError(f"{field}.messages", f"has {len(messages)} messages; at most {forms.MAX_MESSAGES}")
        )
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            place = f"{field}.messages.{index}" if several else f"{field}.message"
            faults.append(FieldError(place, "must be an object"))
    faults += forms.metadata_faults(headers, "headers")
    metadata = given.get("metadata") or {}
    if isinstance(metadata, dict):
        faults += forms.metadata_faults(metadata, f"{field}.metadata")
    else:
        faults.append(FieldError(f"{field}.metadata", "must be an object of texts"))
    if faults:
        raise Invalid.of(faults)
    defaults = form.message or {}
    lower = {key.lower(): value for key, value in {**headers, **form.metadata, **metadata}.items()}
    return Wire(form, tuple({**defaults, **message} for message in messages), several, lower, field)
