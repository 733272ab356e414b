"""The SOAP transport: one message of one operation, posted to one address."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.http.transport import HTTP_AUTH_MODES
from hub.integrations.transports.interface import Caps, Connection, Prepared, Transport
from hub.integrations.transports.soap.forms import SoapOperation, SoapSettings
from hub.integrations.transports.soap.request import Request, address_of
from hub.net import url as urls
from hub.net.outcome import ErrorClass, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.net.session import GuardedSession

_MISSING = "needs the package zeep: install integration-hub[soap]"
_KNOWN = ("body", "headers")
_MAX_FAULTS = 100


class SoapTransport(Transport):
    """See the module."""

    name: ClassVar[str] = "soap"
    schemes: ClassVar[Mapping[str, int]] = {"https": 443, "http": 80}
    auth_modes: ClassVar[frozenset[str]] = HTTP_AUTH_MODES
    settings_form = SoapSettings
    operation_form = SoapOperation
    free_operation: ClassVar[str | None] = "call"

    def settings_faults(self, settings: SoapSettings, base_url: str) -> list[FieldError]:
        """A WSDL that cannot be read, or lacks what the settings name; of an address, one that is no URL."""
        del base_url
        if not is_installed():
            return [FieldError("settings", _MISSING)]
        if not settings.is_inline:
            try:
                urls.parse(settings.wsdl)
            except urls.UrlError as error:
                return [FieldError("settings.wsdl", f"must be a WSDL or its http or https address: {error}")]
            return []
        # zeep and lxml take 0.3 s and 25 MB to load, so only who uses SOAP does.
        from hub.integrations.transports.soap.description import BadDescriptionError  # noqa: PLC0415
        from hub.integrations.transports.soap.reading import of_text  # noqa: PLC0415

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
        from hub.integrations.transports.soap.arguments import name_faults  # noqa: PLC0415
        from hub.integrations.transports.soap.reading import of_text  # noqa: PLC0415

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
        if not isinstance(given, dict):
            raise Invalid(f"{field} must be an object.", fields=(FieldError(field, "must be an object"),))
        free = operation == self.free_operation
        form = _free_operation(given) if free else connection.operations.get(operation)
        known = ("operation", *_KNOWN) if free else _KNOWN
        faults = [
            FieldError(f"{field}.{name}", f"unknown; an input has {', '.join(known)}")
            for name in given
            if name not in known
        ]
        if form is None:
            if free:
                faults.append(
                    FieldError(f"{field}.operation", "must be the name of an operation of the WSDL")
                )
            else:
                choice = ", ".join(sorted([*connection.operations, "call"]))
                text = f"this integration has no such operation; it has {choice}"
                faults.append(FieldError("operation", text))
            raise _invalid(faults)
        request = Request(
            operation=form.operation,
            body={**form.body, **_mapping(given, "body", field, faults)},
            headers={**form.headers, **_mapping(given, "headers", field, faults)},
            field=field,
            named_at=f"{field}.operation" if free else "operation",
        )
        if not faults and connection.settings.is_inline:
            faults += _inline_faults(connection.settings, request)
        if faults:
            raise _invalid(faults)
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
        if not is_installed():
            return Outcome(None, ErrorClass.INVALID_INPUT, f"Nothing was sent: this integration {_MISSING}.")
        from hub.integrations.transports.soap.calling import call  # noqa: PLC0415 - see settings_faults

        return call(session, connection, prepared.wire, credentials, caps)

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """Read the WSDL again where it is fetched, else see whether the address answers at all."""
        if not is_installed():
            return Outcome(None, ErrorClass.INVALID_INPUT, f"Nothing was sent: this integration {_MISSING}.")
        from hub.integrations.transports.soap.calling import probe  # noqa: PLC0415 - see settings_faults

        return probe(session, connection, credentials, caps)


def is_installed() -> bool:
    """The packages of the extra `soap` are there."""
    return find_spec("zeep") is not None


def _inline_faults(settings: SoapSettings, request: Request) -> list[FieldError]:
    from hub.integrations.transports.soap.arguments import (  # noqa: PLC0415 - see settings_faults
        UnfitError,
        message_of,
    )
    from hub.integrations.transports.soap.description import BadDescriptionError  # noqa: PLC0415
    from hub.integrations.transports.soap.reading import of_text  # noqa: PLC0415

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


def _free_operation(given: Mapping[str, Any]) -> SoapOperation | None:
    name = given.get("operation")
    try:
        return SoapOperation(operation=name) if isinstance(name, str) else None
    except ValueError:
        return None


def _mapping(given: Mapping[str, Any], name: str, field: str, faults: list[FieldError]) -> dict[str, Any]:
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        faults.append(FieldError(f"{field}.{name}", "must be an object"))
        return {}
    return value


def _invalid(faults: list[FieldError]) -> Invalid:
    shown = "; ".join(f"{fault.path}: {fault.message}" for fault in faults[:5])
    return Invalid(f"{shown}.", fields=tuple(faults[:_MAX_FAULTS]))
