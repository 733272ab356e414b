"""The SOAP transport: one message of one operation, posted to one address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from hub.core.errors import FieldError, Invalid
from hub.integrations.extras import lack_of
from hub.integrations.transports.http.calling import HTTP_AUTH_MODES, HTTP_SCHEMES
from hub.integrations.transports.inputs import object_at, operation_of, parts_of
from hub.integrations.transports.interface import Caps, Connection, Prepared, Transport
from hub.integrations.transports.soap.forms import SoapOperation, SoapSettings
from hub.integrations.transports.soap.request import Request, address_of
from hub.net import url as urls
from hub.net.outcome import ErrorClass, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.net.session import GuardedSession

_PARTS = ("body", "headers")


class SoapTransport(Transport):
    """See the module."""

    name: ClassVar[str] = "soap"
    schemes: ClassVar[Mapping[str, int]] = HTTP_SCHEMES
    auth_modes: ClassVar[frozenset[str]] = HTTP_AUTH_MODES
    settings_form = SoapSettings
    operation_form = SoapOperation
    free_operation: ClassVar[str | None] = "call"

    def settings_faults(self, settings: SoapSettings, base_url: str) -> list[FieldError]:
        """A WSDL that cannot be read, or lacks what the settings name; of an address, one that is no URL."""
        del base_url
        lack = lack_of("soap")
        if lack is not None:
            return [FieldError("settings", lack)]
        if not settings.is_inline:
            try:
                urls.parse(settings.wsdl)
            except urls.UrlError as error:
                return [FieldError("settings.wsdl", f"must be a WSDL or its http or https address: {error}")]
            return []
        # zeep and lxml take 0.3 s and 25 MB to load, so only who uses SOAP does.
        from hub.integrations.transports.soap.description import BadDescriptionError
        from hub.integrations.transports.soap.reading import of_text

        try:
            port = of_text(settings).port(settings)
        except BadDescriptionError as error:
            return [FieldError("settings.wsdl", str(error))]
        if settings.use_wsdl_address and not port.address:
            return [FieldError("settings.use_wsdl_address", "the WSDL's port has no address")]
        return []

    def operation_faults(
        self, operation: SoapOperation, settings: SoapSettings | None, at: str
    ) -> list[FieldError]:
        """An operation that an inline WSDL does not have; arguments that it does not know."""
        if settings is None or not settings.is_inline or self.settings_faults(settings, ""):
            return []
        from hub.integrations.transports.soap.arguments import name_faults
        from hub.integrations.transports.soap.reading import of_text

        port = of_text(settings).port(settings)
        found = port.operations.get(operation.operation)
        if found is None:
            return [FieldError(f"{at}.operation", port.missing_operation)]
        return name_faults(found, operation.body, f"{at}.body")

    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        """See `Transport`.

        The input has `body` and `headers`; that of the free operation also `operation`. Against an inline WSDL it is
        checked here, against the WSDL of an address in `send`, before anything is posted.
        """
        faults: list[FieldError] = []
        free = operation == self.free_operation
        if free:
            given = parts_of(given, ("operation", *_PARTS), field, faults)
            form = _free_operation(given, field, faults)
        else:
            form = operation_of(connection, operation, self.free_operation)
            given = parts_of(given, _PARTS, field, faults)
        request = Request(
            operation=form.operation,
            body={**form.body, **object_at(given, "body", field, faults)},
            headers={**form.headers, **object_at(given, "headers", field, faults)},
            field=field,
            named_at=f"{field}.operation" if free else "operation",
        )
        if not faults and connection.settings.is_inline:
            faults += _inline_faults(connection.settings, request)
        if faults:
            raise Invalid.of(faults)
        return _prepared(connection, form, request)

    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        """See `Transport`."""
        lack = lack_of("soap")
        if lack is not None:
            return _refused(lack)
        from hub.integrations.transports.soap.calling import call

        return call(session, connection, prepared.wire, credentials, caps)

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """Read the WSDL again where it is fetched, else see whether the address answers at all."""
        lack = lack_of("soap")
        if lack is not None:
            return _refused(lack)
        from hub.integrations.transports.soap.calling import probe

        return probe(session, connection, credentials, caps)


def _refused(lack: str) -> Outcome:
    return Outcome(None, ErrorClass.INVALID_INPUT, f"Nothing was sent: this integration {lack}.")


def _inline_faults(settings: SoapSettings, request: Request) -> list[FieldError]:
    from hub.integrations.transports.soap.arguments import (
        UnfitError,
        message_of,
    )
    from hub.integrations.transports.soap.description import BadDescriptionError
    from hub.integrations.transports.soap.reading import of_text

    try:
        description = of_text(settings)
        message_of(description, description.port(settings), request)
    except BadDescriptionError as error:
        return [FieldError("settings.wsdl", str(error))]
    except UnfitError as error:
        return list(error.faults)
    return []


def _prepared(connection: Connection, form: SoapOperation, request: Request) -> Prepared:
    safe = bool(form.safe)
    return Prepared(
        method=request.operation,
        endpoint=address_of(connection),
        headers=connection.headers,
        payload={"operation": request.operation, "body": request.body, "headers": request.headers},
        safe=safe,
        idempotent=safe if form.idempotent is None else form.idempotent,
        wire=request,
    )


def _free_operation(given: Mapping[str, Any], field: str, faults: list[FieldError]) -> SoapOperation:
    try:
        return SoapOperation(operation=given.get("operation", ""))
    except ValidationError:
        faults.append(FieldError(f"{field}.operation", "must be the name of an operation of the WSDL"))
        raise Invalid.of(faults) from None
