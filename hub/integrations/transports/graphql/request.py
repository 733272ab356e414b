"""What a call asks for: a document, the values of its variables, and what its answer is to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.encoding import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.transports.graphql.forms import RelayPages
    from hub.integrations.transports.interface import Connection


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


def address_of(connection: Connection) -> str:
    """Where every call goes."""
    return f"{connection.base_url}{connection.settings.path}"
