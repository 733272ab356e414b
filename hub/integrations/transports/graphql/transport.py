"""The GraphQL transport: one document and its variables, posted to one address.

Requests and answers follow "GraphQL over HTTP" (https://graphql.github.io/graphql-over-http/draft/): a POST with a JSON
body, answered as `application/graphql-response+json` or, by older services, as `application/json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.encoding import UNSENDABLE, to_json
from hub.integrations.transports.graphql.answer import NotGraphqlError, judged, reply_of
from hub.integrations.transports.graphql.forms import (
    MAX_DOCUMENT,
    GraphqlOperation,
    GraphqlSettings,
    RelayPages,
)
from hub.integrations.transports.graphql.pages import Pages
from hub.integrations.transports.graphql.shapes import variable_faults
from hub.integrations.transports.http.calling import HTTP_AUTH_MODES, HTTP_SCHEMES, call_http
from hub.integrations.transports.http.headers import add_key, header_faults, key_faults, merge
from hub.integrations.transports.inputs import object_at, operation_of, parts_of
from hub.integrations.transports.interface import Caps, Connection, Prepared, Transport
from hub.net.outcome import ErrorClass, Outcome
from hub.net.session import USER_AGENT
from hub.net.sockets import Deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.graphql.document import Document
    from hub.net.session import GuardedSession

_ACCEPT = "application/graphql-response+json, application/json;q=0.9"
_OWN_HEADERS = frozenset({"content-type"})
_PARTS = ("variables", "headers")


@dataclass(frozen=True, slots=True)
class Request:
    """What goes out.

    Args:
        document: its text.
        operation_name: which of its operations.
        variables: their values.
        headers: of the HTTP request.
        safe: it changes nothing.
        single: it asks for one thing.
        keep_partial: data and errors together are a success.
        idempotency_key: the header that takes a key; empty when there is none.
        pages: how to page through the answer; None for one page.
    """

    document: str
    operation_name: str | None
    variables: Mapping[str, Any]
    headers: Mapping[str, str]
    safe: bool
    single: bool
    keep_partial: bool
    idempotency_key: str
    pages: RelayPages | None

    def content(self, more: Mapping[str, Any] | None = None) -> bytes:
        """The body, with these variables in place of its own of the same name.

        Raises:
            ValueError: it cannot be sent as JSON.
        """
        value = {"query": self.document, "variables": {**self.variables, **(more or {})}}
        if self.operation_name is not None:
            value["operationName"] = self.operation_name
        return to_json(value)


class GraphqlTransport(Transport):
    """See the module."""

    name: ClassVar[str] = "graphql"
    schemes: ClassVar[Mapping[str, int]] = HTTP_SCHEMES
    auth_modes: ClassVar[frozenset[str]] = HTTP_AUTH_MODES
    settings_form = GraphqlSettings
    operation_form = GraphqlOperation
    free_operation: ClassVar[str | None] = "query"

    def settings_faults(self, settings: GraphqlSettings, base_url: str) -> list[FieldError]:
        """A schema that cannot be read."""
        del base_url
        if settings.schema_text is None:
            return []
        # graphql-core takes 0.3 s and 20 MB to load, so only who uses GraphQL does.
        from hub.integrations.transports.graphql.schema import schema_of
        from hub.integrations.transports.graphql.source import Unreadable

        try:
            schema_of(settings.schema_text, settings.schema_digest)
        except Unreadable as error:
            return [FieldError("settings.schema", fault) for fault in error.faults]
        return []

    def operation_faults(
        self, operation: GraphqlOperation, settings: GraphqlSettings | None, at: str
    ) -> list[FieldError]:
        """A document that is wrong in itself or by the schema; defaults that do not fit it."""
        if settings is not None and self.settings_faults(settings, ""):
            settings = None
        faults = _own_header_faults(operation.headers, f"{at}.headers")
        faults += key_faults(operation.idempotency_key, f"{at}.idempotency_key")
        document = _document(
            operation.document, operation.operation_name, settings, at, faults, operation.pagination
        )
        if document is None:
            return faults
        faults += variable_faults(document.variables, operation.variables, f"{at}.variables", complete=False)
        if document.pages_fault:
            faults.append(FieldError(f"{at}.pagination", document.pages_fault))
        if operation.safe and document.kind == "mutation":
            faults.append(FieldError(f"{at}.safe", "a mutation changes something"))
        return faults

    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        """See `Transport`.

        The input has `variables` and `headers`; that of the free operation also `document` and `operation_name`.
        """
        faults: list[FieldError] = []
        if operation == self.free_operation:
            given = parts_of(given, ("document", "operation_name", *_PARTS), field, faults)
            form = _free_operation(given, field, faults)
        else:
            form = operation_of(connection, operation, self.free_operation)
            given = parts_of(given, _PARTS, field, faults)
        document = _document(
            form.document, form.operation_name, connection.settings, field, faults, form.pagination
        )
        variables = {**form.variables, **object_at(given, "variables", field, faults)}
        if form.pagination is not None and form.pagination.page_size is not None:
            variables.setdefault(form.pagination.first, form.pagination.page_size)
        if document is not None:
            faults += variable_faults(document.variables, variables, f"{field}.variables")
        headers = _headers(connection, form, object_at(given, "headers", field, faults), field, faults)
        if document is None or faults:
            raise Invalid.of(faults)
        return _prepared(connection, form, document, variables, headers, field)

    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        """See `Transport`."""
        request: Request = prepared.wire
        deadline = Deadline(caps.timeout)
        if request.pages is None:
            return _call(session, connection, request, credentials, caps, deadline, caps.max_bytes, {})
        return _all_pages(session, connection, request, request.pages, credentials, caps, deadline)

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """Ask for the name of the root type, which every service knows."""
        prepared = self.prepare(connection, "query", {"document": "{ __typename }"})
        return self.send(session, connection, prepared, credentials, caps)


def _all_pages(
    session: GuardedSession,
    connection: Connection,
    request: Request,
    form: RelayPages,
    credentials: Credentials,
    caps: Caps,
    deadline: Deadline,
) -> Outcome:
    pages, room, total_ms = Pages(form), caps.max_bytes, 0.0
    more: dict[str, Any] = {}
    while True:
        outcome = _call(session, connection, request, credentials, caps, deadline, room, more)
        total_ms += outcome.timings.total_ms
        outcome.timings.total_ms = total_ms
        if not outcome.ok:
            if outcome.error_class is ErrorClass.TOO_LARGE:
                outcome.message = f"The pages together are longer than {caps.max_bytes} bytes."
            return outcome
        room -= len(outcome.body)
        try:
            cursor = pages.add(reply_of(outcome.body))
        except NotGraphqlError as error:
            outcome.error_class = ErrorClass.PROTOCOL
            outcome.message = f"The answer cannot be paged through: {error}."
            return outcome
        if cursor is None:
            outcome.body = pages.joined()
            return outcome
        more = {form.after: cursor}


def _call(
    session: GuardedSession,
    connection: Connection,
    request: Request,
    credentials: Credentials,
    caps: Caps,
    deadline: Deadline,
    room: int,
    variables: Mapping[str, Any],
) -> Outcome:
    headers = dict(request.headers)
    add_key(headers, request.idempotency_key, caps.idempotency_key)
    outcome = call_http(
        session,
        connection,
        credentials.http,
        caps,
        "POST",
        _address(connection),
        headers,
        request.content(variables),
        deadline,
        max(room, 0),
    )
    return judged(outcome, safe=request.safe, single=request.single, keep_partial=request.keep_partial)


def _address(connection: Connection) -> str:
    return f"{connection.base_url}{connection.settings.path}"


def _free_operation(given: Mapping[str, Any], field: str, faults: list[FieldError]) -> GraphqlOperation:
    try:
        return GraphqlOperation(
            document=given.get("document", ""), operation_name=given.get("operation_name")
        )
    except ValidationError as error:
        texts = {
            "document": f"must be a GraphQL document of at most {MAX_DOCUMENT} characters",
            "operation_name": "must be the name of one of the document's operations",
        }
        names = {str(fault["loc"][0]) for fault in error.errors(include_input=False, include_url=False)}
        faults += [FieldError(f"{field}.{name}", texts[name]) for name in sorted(names)]
        raise Invalid.of(faults) from None


def _document(
    text: str,
    name: str | None,
    settings: GraphqlSettings | None,
    at: str,
    faults: list[FieldError],
    pages: RelayPages | None,
) -> Document | None:
    from hub.integrations.transports.graphql.document import read
    from hub.integrations.transports.graphql.source import Unreadable

    try:
        return read(text, name, settings, pages)
    except Unreadable as error:
        faults += [FieldError(f"{at}.document", fault) for fault in error.faults]
        return None


def _prepared(
    connection: Connection,
    form: GraphqlOperation,
    document: Document,
    variables: Mapping[str, Any],
    headers: Mapping[str, str],
    field: str,
) -> Prepared:
    safe = document.kind == "query" if form.safe is None else form.safe
    idempotent = safe or bool(form.idempotency_key) if form.idempotent is None else form.idempotent
    request = Request(
        document=form.document,
        operation_name=form.operation_name,
        variables=variables,
        headers=headers,
        safe=safe,
        single=document.single,
        keep_partial=connection.settings.partial == "keep",
        idempotency_key=form.idempotency_key,
        pages=form.pagination,
    )
    try:
        request.content()
    except ValueError:
        raise Invalid.of([FieldError(f"{field}.variables", UNSENDABLE)]) from None
    return Prepared(
        method=document.kind.upper(),
        endpoint=_address(connection),
        headers=headers,
        payload={"query": form.document, "variables": variables, "operationName": form.operation_name},
        safe=safe,
        idempotent=idempotent,
        wire=request,
    )


def _headers(
    connection: Connection,
    form: GraphqlOperation,
    given: Mapping[str, Any],
    field: str,
    faults: list[FieldError],
) -> dict[str, str]:
    own = {"User-Agent": USER_AGENT, "Accept": _ACCEPT}
    faults += _own_header_faults(
        {name: value for name, value in given.items() if name.lower() in _OWN_HEADERS}, f"{field}.headers"
    )
    merged = merge({**own, **connection.headers}, form.headers, given, f"{field}.headers", faults)
    kept = {name: value for name, value in merged.items() if name.lower() not in _OWN_HEADERS}
    return {**kept, "Content-Type": "application/json"}


def _own_header_faults(headers: Mapping[str, Any], at: str) -> list[FieldError]:
    texts = {name: value for name, value in headers.items() if isinstance(value, str)}
    return header_faults(texts, at) + [
        FieldError(f"{at}.{name}", "is always application/json here")
        for name in texts
        if name.lower() in _OWN_HEADERS
    ]
