"""One call, or the calls for the pages of a connection, under one deadline and one byte cap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.integrations.transports.graphql.answer import NotGraphqlError, judged, reply_of
from hub.integrations.transports.graphql.pages import Pages
from hub.integrations.transports.graphql.request import Request, address_of
from hub.integrations.transports.http.calling import call_http
from hub.integrations.transports.http.headers import add_key
from hub.net.outcome import ErrorClass, Outcome
from hub.net.sockets import Deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.graphql.forms import RelayPages
    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.session import GuardedSession


def call(
    session: GuardedSession, connection: Connection, request: Request, credentials: Credentials, caps: Caps
) -> Outcome:
    """Make the call. Never raises for what the outside does; see `Transport.send`."""
    deadline = Deadline(caps.timeout)
    if request.pages is None:
        return _call(session, connection, request, credentials, caps, deadline, caps.max_bytes, {})
    return _all_pages(session, connection, request, request.pages, credentials, caps, deadline)


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
        address_of(connection),
        headers,
        request.content(variables),
        deadline,
        max(room, 0),
    )
    return judged(outcome, safe=request.safe, single=request.single, keep_partial=request.keep_partial)
