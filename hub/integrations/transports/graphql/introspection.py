"""Asking a service for its schema, in the form that the setting `schema` takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hub.integrations.transports.graphql.forms import GraphqlSettings
from hub.integrations.transports.graphql.transport import GraphqlTransport

if TYPE_CHECKING:
    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession


def introspect(
    session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
) -> Outcome:
    """Make the standard introspection query. Never raises; many services refuse it.

    Args:
        session: the way out.
        connection: to the service; its schema is not used.
        credentials: as for any call.
        caps: large schemas need more than the usual bytes.

    Returns:
        An outcome whose body, on success, can be the integration's `settings.schema`.
    """
    # graphql-core is loaded when it is used.
    from graphql import get_introspection_query  # noqa: PLC0415

    transport = GraphqlTransport()
    blank = replace(connection, settings=GraphqlSettings(path=connection.settings.path))
    document = get_introspection_query(descriptions=False)
    prepared = transport.prepare(blank, "query", {"document": document})
    return transport.send(session, blank, prepared, credentials, caps)
