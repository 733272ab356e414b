"""One HTTP call of an integration, for every transport that speaks HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.integrations.auth.registry import MODES
from hub.net.session import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.outcome import Outcome
    from hub.net.session import Auth, GuardedSession
    from hub.net.sockets import Deadline

#: URL schemes of such transports, and their ports.
HTTP_SCHEMES: Mapping[str, int] = {"https": 443, "http": 80}
#: Their authentication modes.
HTTP_AUTH_MODES = frozenset(
    name for name, mode in MODES.items() if mode.sign is not None or name in {"none", "mtls"}
)


def call_http(
    session: GuardedSession,
    connection: Connection,
    auth: Auth | None,
    caps: Caps,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    deadline: Deadline | None = None,
    max_bytes: int | None = None,
) -> Outcome:
    """Make the call.

    Args:
        session: the way out.
        connection: whose call it is.
        auth: adds the credentials; None adds nothing.
        caps: its bounds.
        method: upper case.
        url: absolute, of the integration's origin.
        headers: without credentials.
        body: what is sent.
        deadline: in place of `caps.timeout`.
        max_bytes: in place of `caps.max_bytes`.
    """
    return session.call(
        method,
        url,
        headers={"User-Agent": USER_AGENT, **headers},
        data=body,
        auth=auth,
        timeout=caps.timeout,
        max_body=caps.max_bytes if max_bytes is None else max_bytes,
        follow_redirects=connection.follow_redirects,
        pool_key=connection.pool_key,
        identity=connection.tls,
        cancellation=caps.cancellation,
        deadline=deadline,
    )
