"""REST: one HTTP call through the guarded session."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.integrations.directory import Target
    from hub.integrations.request import Request
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

#: Decoded bytes of an answer that are kept; a longer one is a failure (`too_large`), so that no result is half a one.
MAX_ANSWER_BYTES = 1_048_576


def send(session: GuardedSession, target: Target, request: Request, timeout: float) -> Outcome:
    """Make one call.

    Args:
        session: the way out.
        target: the integration; its credentials are added here.
        request: what to send.
        timeout: seconds for everything.
    """
    headers = {"User-Agent": "Integration-Hub/1", **request.headers}
    return session.call(
        request.method,
        request.url,
        headers=headers,
        data=request.body,
        auth=target.auth,
        timeout=timeout,
        max_body=MAX_ANSWER_BYTES,
        follow_redirects=target.follow_redirects,
        pool_key=target.pool_key,
    )
