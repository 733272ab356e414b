"""May this call be made at all? Before anything is read of its input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.db.states import State
from hub.integrations.pipeline.call import Stopped
from hub.integrations.target import TRANSPORT_MISSING

if TYPE_CHECKING:
    from hub.integrations.pipeline.call import Call, Tools

#: Seconds until the next look for what is missing where this process runs: another worker may have it, or this one
#: after a restart.
_MISSING_PAUSE = 30.0
#: Why a call ended that the access rules refuse.
NOT_ALLOWED = "operation_not_allowed"
#: Why a row waits for a day or month, or ended.
OVER_QUOTA = "quota_exceeded"


def unreadable() -> Stopped:
    """What is stored of the integration cannot be understood here: a newer release wrote it, or somebody by hand."""
    message = "The integration's definition cannot be read where it is called from."
    return Stopped(State.DUE, "unreadable", message, due_in=_MISSING_PAUSE)


def load(call: Call, _tools: Tools) -> Stopped | None:
    """Is the integration active, and are its credentials readable?"""
    target = call.target
    if target.hold is not None:
        return Stopped(State.HELD, target.hold, "The integration is not active.")
    if target.broken == TRANSPORT_MISSING:
        message = "The package of the integration's transport is not installed where it is called from."
        return Stopped(State.DUE, TRANSPORT_MISSING, message, due_in=_MISSING_PAUSE)
    if target.broken is not None:
        message = "The integration's credentials cannot be read where it is called from."
        return Stopped(State.DUE, target.broken, message, due_in=_MISSING_PAUSE)
    call.form = target.operations.get(call.operation, target.free)
    call.notes["load"] = {"version": target.version, "transport": target.transport.name}
    if target.deprecated or call.form.deprecated:
        call.notes["load"]["deprecated"] = True
    return None


def access(call: Call, _tools: Tools) -> Stopped | None:
    """Is the operation allowed? Who calls was judged at the door."""
    if not call.target.allows(call.operation):
        message = "The integration does not allow this operation."
        return Stopped(State.FAILED, NOT_ALLOWED, message)
    return None


def quota(call: Call, _tools: Tools) -> Stopped | None:
    """Is there something left? It was counted when the execution was claimed."""
    left = call.context.over_quota
    if left is None:
        return None
    message = "The integration's quota is used up."
    if call.target.quota.on_exceeded == "wait":
        return Stopped(State.DUE, OVER_QUOTA, message, due_in=left)
    return Stopped(State.FAILED, OVER_QUOTA, message)
