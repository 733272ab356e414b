"""Calls and probes of a service, once its description is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hub.integrations.transports.http.calling import call_http
from hub.integrations.transports.soap.answers import ANSWERED, judged, with_json
from hub.integrations.transports.soap.arguments import UnfitError, message_of
from hub.integrations.transports.soap.description import BadDescriptionError
from hub.integrations.transports.soap.envelopes import content_of
from hub.integrations.transports.soap.reading import NotRead, of_connection, unusable
from hub.integrations.transports.soap.request import Request, address_of
from hub.integrations.transports.trace_context import TraceAlone
from hub.net.outcome import ErrorClass, Outcome
from hub.net.sockets import Deadline

if TYPE_CHECKING:
    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.interface import Caps, Connection
    from hub.integrations.transports.soap.description import Description
    from hub.integrations.transports.soap.forms import SoapSettings
    from hub.net.session import GuardedSession

_KINDS = {"1.1": "text/xml; charset=utf-8", "1.2": "application/soap+xml; charset=utf-8"}
_OWN_HEADERS = frozenset({"content-type", "soapaction"})
_MAX_FAULTS = 100
# A service is there when it refuses the method, or wants a message.
_ABSENT_STATUSES = frozenset({401, 403, 404, 407, 410, 429, 502, 503, 504})


class Posted(NamedTuple):
    """A message on its way.

    Args:
        address: where it is posted.
        headers: of the request; without those of credentials.
        content: the envelope.
    """

    address: str
    headers: dict[str, str]
    content: bytes


def posted(
    description: Description, connection: Connection, request: Request, credentials: Credentials
) -> Posted:
    """What a call posts. Pure.

    Raises:
        BadDescriptionError: the description lacks what is needed.
        UnfitError: the input does not fit it.
        ValueError: the message cannot be made; the text says why, without a secret.
    """
    settings: SoapSettings = connection.settings
    port = description.port(settings)
    made = message_of(description, port, request)
    address = port.address if settings.use_wsdl_address else address_of(connection)
    if not address:
        raise BadDescriptionError("its port has no address")
    content = content_of(made, port.operations[request.operation], address, settings, credentials)
    return Posted(address, _headers(connection, port.version, made.action), content)


def call(
    session: GuardedSession, connection: Connection, request: Request, credentials: Credentials, caps: Caps
) -> Outcome:
    """Make a call. Never raises for what the outside does; see `Transport.send`."""
    deadline = Deadline(caps.timeout)
    outcome = _call(session, connection, request, credentials, caps, deadline)
    outcome.timings.total_ms = deadline.spent * 1000
    return outcome


def _call(
    session: GuardedSession,
    connection: Connection,
    request: Request,
    credentials: Credentials,
    caps: Caps,
    deadline: Deadline,
) -> Outcome:
    settings: SoapSettings = connection.settings
    try:
        description = of_connection(session, connection, credentials, caps, deadline)
        port = description.port(settings)
        made = posted(description, connection, request, credentials)
    except NotRead as error:
        return error.outcome
    except BadDescriptionError as error:
        return unusable(error)
    except UnfitError as error:
        fields = [{"path": fault.path, "message": fault.message} for fault in error.faults[:_MAX_FAULTS]]
        return with_json(_unsent(f"the input does not fit the WSDL: {error}"), {"fields": fields})
    except ValueError as error:
        return _unsent(str(error))
    auth = TraceAlone(credentials.http) if settings.wsse else credentials.http
    outcome = call_http(
        session, connection, auth, caps, "POST", made.address, made.headers, made.content, deadline
    )
    return judged(outcome, description, port, request.operation, caps.max_bytes)


def probe(session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps) -> Outcome:
    """Read the WSDL again where it is fetched, then see whether the address answers and takes the credentials.

    A service that answers to GET with any status but those of absence and refusal is there: SOAP itself is only
    spoken in POST, and there is no message that every service takes.
    """
    settings: SoapSettings = connection.settings
    deadline = Deadline(caps.timeout)
    try:
        port = of_connection(session, connection, credentials, caps, deadline, fresh=True).port(settings)
    except NotRead as error:
        return error.outcome
    except BadDescriptionError as error:
        return unusable(error)
    auth = TraceAlone(credentials.http) if settings.wsse else credentials.http
    address = port.address if settings.use_wsdl_address and port.address else address_of(connection)
    outcome = call_http(
        session, connection, auth, caps, "GET", address, connection.headers, deadline=deadline
    )
    if outcome.error_class in ANSWERED and outcome.status not in _ABSENT_STATUSES:
        outcome.error_class, outcome.message = None, ""
    return outcome


def _unsent(reason: str) -> Outcome:
    return Outcome(None, ErrorClass.INVALID_INPUT, f"Nothing was sent: {reason}.")


def _headers(connection: Connection, version: str, action: str) -> dict[str, str]:
    """SOAP 1.1, 6.1.1 has the action in a header, SOAP 1.2 in the content type (RFC 3902)."""
    kind = _KINDS[version]
    own = {"Accept": kind.partition(";")[0]}
    given = {name: value for name, value in connection.headers.items() if name.lower() not in _OWN_HEADERS}
    if version == "1.1":
        own["SOAPAction"] = f'"{action}"'
    elif action:
        kind = f'{kind}; action="{action}"'
    return {**own, **given, "Content-Type": kind}
