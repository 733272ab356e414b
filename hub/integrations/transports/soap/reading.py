"""Descriptions of services, kept while there is room; one that was fetched is read again from time to time.

A call goes on with the older reading when a new one fails or has no port for it: the host of a WSDL may be down, or
show a page instead, while the service works.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hub.integrations.transports.remembered import Remembered
from hub.integrations.transports.soap import bundle
from hub.integrations.transports.soap.description import BadDescriptionError, Description, describe
from hub.integrations.transports.soap.markup import BadMarkupError
from hub.integrations.transports.trace_context import TraceAlone
from hub.net.outcome import ErrorClass, Outcome
from hub.net.session import USER_AGENT
from hub.net.sockets import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.interface import Caps, Connection
    from hub.integrations.transports.soap.bundle import Bundle
    from hub.integrations.transports.soap.forms import SoapSettings
    from hub.net.session import GuardedSession

#: Of WSDL text. What zeep makes of it takes about twenty times as much memory.
_MAX_KEPT = 8 * 1_048_576
_MIN_WEIGHT = 8_192
#: What an address gave is read again by a call after this time.
_GOOD_SECONDS = 300.0

_kept: Remembered[Description] = Remembered(_MAX_KEPT)

# Nothing was posted yet, whatever happened: what may be over later is said to be so.
_BUSY = frozenset({ErrorClass.TIMEOUT, ErrorClass.RESET, ErrorClass.PROTOCOL, ErrorClass.HTTP_5XX})
_BUSY_STATUSES = frozenset({408, 425, 429})


class NotRead(Exception):
    """A description could not be read.

    Args:
        outcome: of a call that needed it; nothing was posted.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


def of_text(settings: SoapSettings) -> Description:
    """The description in the settings themselves.

    Raises:
        BadDescriptionError: it cannot be used.
    """
    return _kept.get(
        settings.digest,
        lambda: _made(lambda: bundle.of_text(settings.wsdl, strict=settings.strict), settings),
    )


def of_connection(
    session: GuardedSession,
    connection: Connection,
    credentials: Credentials,
    caps: Caps,
    deadline: Deadline,
    *,
    fresh: bool = False,
) -> Description:
    """The description of an integration, fetched when its address is all that is known.

    Args:
        session: the way out.
        connection: to the service.
        credentials: used for documents of the same origin as the service.
        caps: of the call.
        deadline: of the call.
        fresh: read it again, in any case.

    Raises:
        NotRead: with the outcome of the call.
    """
    settings: SoapSettings = connection.settings
    try:
        if settings.is_inline:
            return of_text(settings)

        def make(within: Deadline = deadline) -> tuple[Description, int]:
            def fetch(url: str, room: int) -> bytes:
                return _fetch(session, connection, credentials, caps, within, url, room)

            return _made(lambda: bundle.of_address(settings.wsdl, fetch, strict=settings.strict), settings)

        key = (connection.id, connection.pool_key, settings.digest)

        def renew(within: Deadline) -> Description:
            made = make(within)
            made[0].port(settings)
            _kept.renew(key, made)
            return made[0]

        if fresh:
            return renew(deadline)
        if _kept.take_turn(key, _GOOD_SECONDS):
            # The call itself keeps half of its time.
            with suppress(BadDescriptionError, NotRead, TimeoutError):
                renew(Deadline(deadline.remaining() / 2))
        return _kept.get(key, make, wait=deadline.remaining())
    except BadDescriptionError as error:
        raise NotRead(unusable(error)) from None
    except TimeoutError:
        text = "The WSDL could not be read: the time was over."
        raise NotRead(Outcome(None, ErrorClass.PROVIDER_BUSY, text)) from None


def unusable(error: BadDescriptionError) -> Outcome:
    """Of a call whose description cannot be used: it will not get better by itself."""
    return Outcome(None, ErrorClass.PROVIDER_ERROR, f"Nothing was sent: the WSDL cannot be used: {error}.")


def _made(gather: Callable[[], Bundle], settings: SoapSettings) -> tuple[Description, int]:
    try:
        found = gather()
    except BadMarkupError as error:
        raise BadDescriptionError(str(error)) from None
    return describe(found, strict=settings.strict), max(found.size, _MIN_WEIGHT)


def _fetch(
    session: GuardedSession,
    connection: Connection,
    credentials: Credentials,
    caps: Caps,
    deadline: Deadline,
    url: str,
    room: int,
) -> bytes:
    own = _origin(url) == _origin(connection.base_url)
    http = TraceAlone(credentials.http) if connection.settings.wsse else credentials.http
    outcome = session.call(
        "GET",
        url,
        headers={"User-Agent": USER_AGENT, "Accept": "text/xml, application/xml;q=0.9, */*;q=0.1"},
        auth=http if own else None,
        max_body=max(room, 0),
        follow_redirects=connection.follow_redirects,
        pool_key=connection.pool_key if own else (connection.pool_key, "wsdl"),
        identity=connection.tls if own else None,
        cancellation=caps.cancellation,
        deadline=deadline,
    )
    if outcome.ok:
        return outcome.body
    what = "WSDL" if url == connection.settings.wsdl else "WSDL's import"
    outcome.message = f"Nothing was sent: the {what} could not be read: {outcome.message}"
    if outcome.error_class in _BUSY or outcome.status in _BUSY_STATUSES:
        outcome.error_class = ErrorClass.PROVIDER_BUSY
    raise NotRead(outcome)


def _origin(url: str) -> tuple[Any, ...]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return (url,)
