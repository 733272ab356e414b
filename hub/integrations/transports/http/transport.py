"""The transport `rest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hub.integrations.transports.http import forms, preparing
from hub.integrations.transports.http.calling import HTTP_AUTH_MODES, HTTP_SCHEMES, call_http
from hub.integrations.transports.http.forms import RestOperation
from hub.integrations.transports.http.headers import add_key
from hub.integrations.transports.http.pages import Pages
from hub.integrations.transports.http.reading import read_all
from hub.integrations.transports.interface import Transport
from hub.net.outcome import ErrorClass, classify_status
from hub.net.sockets import Deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.core.errors import FieldError
    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.http.forms import Status
    from hub.integrations.transports.interface import Caps, Connection, Prepared
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

#: The service said what it thinks of the request; other classes tell of an answer that did not come whole.
_JUDGED = frozenset({None, ErrorClass.HTTP_4XX, ErrorClass.HTTP_5XX, ErrorClass.REDIRECT})


class RestTransport(Transport):
    """One HTTP request, or as many as a list has pages."""

    name: ClassVar[str] = "rest"
    schemes: ClassVar[Mapping[str, int]] = HTTP_SCHEMES
    auth_modes: ClassVar[frozenset[str]] = HTTP_AUTH_MODES
    operation_form = RestOperation
    free_operation: ClassVar[str | None] = preparing.FREE_OPERATION

    def operation_faults(self, operation: RestOperation, settings: Any, at: str) -> list[FieldError]:
        """See `Transport`."""
        del settings
        return forms.operation_faults(operation, at)

    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        """See `Transport`, and `preparing.prepare` for the input."""
        return preparing.prepare(connection, operation, given, field)

    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        """See `Transport`."""
        wire: preparing.Wire = prepared.wire
        operation = wire.operation
        headers = dict(prepared.headers)
        add_key(headers, operation.idempotency_key, caps.idempotency_key)
        deadline = Deadline(caps.timeout)

        def call(url: str, body: bytes | None, max_bytes: int) -> Outcome:
            outcome = call_http(
                session,
                connection,
                credentials.http,
                caps,
                prepared.method,
                url,
                headers,
                body,
                deadline,
                max_bytes,
            )
            _judge(outcome, operation.success)
            return outcome

        if operation.pagination is None or not wire.pages:
            return call(prepared.endpoint, wire.body, caps.max_bytes)
        pages = Pages(
            operation.pagination, prepared.endpoint, wire.body, wire.value, _query_credentials(credentials)
        )
        return read_all(call, pages, wire.pages, caps.max_bytes)

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """Get the base URL. Many services have nothing there: that is no fault, a refused credential is one."""
        outcome = call_http(
            session, connection, credentials.http, caps, "GET", f"{connection.base_url}/", connection.headers
        )
        if outcome.status in {401, 403} and outcome.error_class is ErrorClass.HTTP_4XX:
            outcome.error_class = ErrorClass.UNAUTHORIZED
            outcome.message = f"The credentials were refused (status {outcome.status})."
        elif outcome.status in {404, 405} and outcome.error_class is ErrorClass.HTTP_4XX:
            outcome.error_class, outcome.message = None, ""
        return outcome


def _judge(outcome: Outcome, success: list[Status]) -> None:
    """Apply the operation's own view of what a success is."""
    if not success or outcome.status is None or outcome.error_class not in _JUDGED:
        return
    if outcome.status in success or f"{outcome.status // 100}xx" in success:
        outcome.error_class, outcome.message = None, ""
        if outcome.truncated:
            outcome.error_class = ErrorClass.TOO_LARGE
            outcome.message = f"The answer is longer than {len(outcome.body)} bytes."
    elif classify_status(outcome.status) is None:
        outcome.error_class = ErrorClass.PROVIDER_ERROR
        outcome.message = f"The answer was status {outcome.status}, which is no success of this operation."


def _query_credentials(credentials: Credentials) -> frozenset[str]:
    """The query parameters that carry credentials, in the modes that can put them there."""
    parameters = credentials.parameters
    templates = parameters.get("query")
    names = set(templates) if isinstance(templates, dict) else set()
    for place in (parameters, parameters.get("placement")):
        if isinstance(place, dict) and place.get("in") == "query":
            names.add(place.get("name"))
    return frozenset(names)
