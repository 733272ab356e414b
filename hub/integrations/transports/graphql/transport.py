"""The GraphQL transport: one document and its variables, posted to one address.

Requests and answers follow "GraphQL over HTTP" (https://graphql.github.io/graphql-over-http/draft/): a POST with a JSON
body, answered as `application/graphql-response+json` or, by older services, as `application/json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.encoding import UNSENDABLE
from hub.integrations.transports.graphql.calling import call
from hub.integrations.transports.graphql.forms import (
    MAX_DOCUMENT,
    GraphqlOperation,
    GraphqlSettings,
    RelayPages,
)
from hub.integrations.transports.graphql.request import Request, address_of
from hub.integrations.transports.graphql.shapes import variable_faults
from hub.integrations.transports.http.calling import HTTP_AUTH_MODES, HTTP_SCHEMES
from hub.integrations.transports.http.headers import header_faults, key_faults, merge
from hub.integrations.transports.inputs import object_at, operation_of, parts_of
from hub.integrations.transports.interface import Caps, Connection, Prepared, Transport
from hub.net.session import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.graphql.document import Document
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

_ACCEPT = "application/graphql-response+json, application/json;q=0.9"
_OWN_HEADERS = frozenset({"content-type"})
_PARTS = ("variables", "headers")


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
        return call(session, connection, prepared.wire, credentials, caps)

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """Ask for the name of the root type, which every service knows."""
        prepared = self.prepare(connection, "query", {"document": "{ __typename }"})
        return self.send(session, connection, prepared, credentials, caps)


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
        endpoint=address_of(connection),
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
