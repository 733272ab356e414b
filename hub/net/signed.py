"""What an authentication object adds to a request that another client than `GuardedSession` sends.

Authentication objects sign requests of the `requests` library. WebSocket handshakes and gRPC calls are HTTP requests
as well, made by libraries of their own: here such a request is made up, signed, and taken apart again. Leaves to
others: objects that wait for a challenge of the server (digest), which this cannot serve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from requests import PreparedRequest
from requests.exceptions import RequestException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.net.session import Auth


class NotSignedError(Exception):
    """The request could not be signed; the text is a sentence without secrets."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A request with its credentials.

    Args:
        url: with those that travel in the query.
        headers: as signed; names as they were given.
    """

    url: str
    headers: dict[str, str]


def signed(method: str, url: str, headers: Mapping[str, str], auth: Auth | None) -> Signed:
    """Sign a request.

    Args:
        method: HTTP method.
        url: absolute, http or https.
        headers: its own.
        auth: a `requests` authentication object; None adds nothing.

    Raises:
        NotSignedError: the object raised, or made something that is no request.
    """
    request = PreparedRequest()
    try:
        request.prepare_method(method)
        request.prepare_url(url, None)
        request.prepare_headers(headers)
        request.prepare_body(None, None)
        if auth is not None:
            request = auth(request)
        return Signed(str(request.url), {name: _text(value) for name, value in request.headers.items()})
    except RequestException as error:
        # Its text may repeat a header value, which may be a secret.
        raise NotSignedError(f"The request could not be built ({type(error).__name__}).") from None
    except Exception as error:  # noqa: BLE001 - an authentication object may raise anything
        raise NotSignedError(f"The credentials could not be applied ({type(error).__name__}).") from None


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
