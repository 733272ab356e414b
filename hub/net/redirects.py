"""What to send when an answer points elsewhere: a pure decision, no I/O.

Promises: nothing that may be a credential crosses to another origin: there only a short list of harmless
headers is kept, authentication is not applied, and a request with a body is not repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FOLLOWED = 3

_STATUSES = frozenset({301, 302, 303, 307, 308})
# An API key may travel in any header, so this is a list of what may stay, not of what must go.
_HARMLESS = frozenset({"accept", "accept-language", "content-type", "user-agent"})


@dataclass(frozen=True, slots=True)
class NextHop:
    """The request after a redirect.

    Args:
        method: GET when the rules of RFC 9110, 15.4 turn it into one.
        url: absolute, not yet judged.
        headers: the caller's own that may go there.
        keep_body: send the body again.
        keep_auth: same origin, so authentication applies again.
    """

    method: str
    url: str
    headers: dict[str, str]
    keep_body: bool
    keep_auth: bool


def next_hop(
    *, status: int, location: str | None, method: str, url: str, headers: Mapping[str, str], has_body: bool
) -> NextHop | None:
    """The next request, or None when this answer is the last one.

    Args:
        status: of the answer.
        location: its Location header.
        method: of the request that it answers, upper case.
        url: of that request.
        headers: the caller's own headers on it.
        has_body: that request had a body.
    """
    if status not in _STATUSES or not location:
        return None
    try:
        target = urljoin(url, location)
        same = _origin(target) == _origin(url)
    except ValueError:
        return None
    becomes_get = method != "HEAD" and (status == 303 or (status in {301, 302} and method == "POST"))
    keep_body = has_body and not becomes_get
    if keep_body and not same:
        return None
    dropped_with_body = {"content-type"} if becomes_get else set()
    kept = {
        name: value
        for name, value in headers.items()
        if (same or name.lower() in _HARMLESS) and name.lower() not in dropped_with_body
    }
    return NextHop("GET" if becomes_get else method, target, kept, keep_body, keep_auth=same)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
