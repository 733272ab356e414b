"""The credentials of one call: those of the definition, or a token that was obtained with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hub.core.errors import NotFound
from hub.db.states import State
from hub.integrations.grants.errors import NeedsReauth, NotYet
from hub.integrations.pipeline.call import Stopped
from hub.integrations.pipeline.redaction import Redactor
from hub.net.outcome import ErrorClass

if TYPE_CHECKING:
    from hub.integrations.grants.keeper import Granted
    from hub.integrations.pipeline.call import Call, Tools
    from hub.net.session import Auth

TRACEPARENT = "traceparent"
#: Why an execution waits for a person.
NEEDS_REAUTH = "needs_reauth"


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


def _granted(call: Call, tools: Tools) -> Granted | Stopped:
    assert call.target.holder is not None
    assert tools.grants is not None
    try:
        return tools.grants.credentials(call.target.holder)
    except NotYet as error:
        return Stopped(State.DUE, "credentials_not_ready", error.detail, due_in=error.due_in)
    except NeedsReauth as error:
        return Stopped(State.HELD, NEEDS_REAUTH, error.detail)
    except NotFound:
        return Stopped(State.FAILED, "integration_deleted", "The integration was deleted.")


def give_up_token(call: Call, tools: Tools) -> Stopped | None:
    """The service refused the call's credentials: a token that may have been taken back is renewed, once.

    Without a token, or with a brand-new one, the refusal is the answer.
    """
    outcome = call.outcome
    assert outcome is not None
    wanted = call.action == "refresh_credential"
    if outcome.error_class is not ErrorClass.UNAUTHORIZED or not (wanted or call.action is None):
        return None
    renewed = False
    if call.granted is not None and call.target.holder is not None and tools.grants is not None:
        renewed = tools.grants.rejected(call.target.holder, call.granted.version)
    call.action = "refresh_credential" if renewed else "fail"
    return None


def authenticate(call: Call, tools: Tools) -> Stopped | None:
    """Make the credentials ready. A dry run obtains none."""
    target = call.target
    call.notes["authenticate"] = {"mode": target.mode.name}
    credentials = target.credentials
    if target.mode.obtains and not call.context.dry:
        found = _granted(call, tools)
        if isinstance(found, Stopped):
            return found
        credentials = found.credentials
        call.granted = found
        call.redactor = Redactor(target.mode.traces(credentials.parameters, credentials.secrets))
    if call.context.traceparent is not None:
        credentials = replace(credentials, http=Traced(call.context.traceparent, credentials.http))
    call.credentials = credentials
    return None
