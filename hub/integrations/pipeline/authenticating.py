"""The credentials of one call: those of the definition, or a token that was obtained with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hub.db.states import State
from hub.integrations.pipeline.call import Stopped

if TYPE_CHECKING:
    from hub.integrations.pipeline.call import Call, Tools
    from hub.net.session import Auth

TRACEPARENT = "traceparent"


class Traced:
    """Sends the trace context on (W3C Trace Context, 3.2), then authenticates: signatures may cover it.

    Args:
        traceparent: the header's value.
        http: the authentication object; None adds no credentials.
    """

    def __init__(self, traceparent: str, http: Auth | None) -> None:
        self._traceparent = traceparent
        self._http = http

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request."""
        request.headers.setdefault(TRACEPARENT, self._traceparent)
        return request if self._http is None else self._http(request)


def authenticate(call: Call, tools: Tools) -> Stopped | None:
    """Make the credentials ready. A dry run obtains none."""
    target = call.target
    call.notes["authenticate"] = {"mode": target.mode.name}
    credentials = target.credentials
    if target.mode.obtains and not call.context.dry:
        if tools.grants is None:
            return Stopped(State.FAILED, "internal", "This process has nothing to obtain tokens with.")
        found = tools.grants.credentials_of(target)
        if isinstance(found, Stopped):
            return found
        credentials = found
    if call.context.traceparent is not None:
        credentials = replace(credentials, http=Traced(call.context.traceparent, credentials.http))
    call.credentials = credentials
    return None
