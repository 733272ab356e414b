"""Accepting executions, the same for every door.

Accepted means committed: the answer is given after the transaction, the doorbell rings after that. An execution is
checked when it is accepted as far as it can be, so that a mistake is told to the caller and not to a log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.access import audit
from hub.core.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from hub.core.ids import Kind, format_id, new_uuid
from hub.db.states import State
from hub.integrations.executions import store
from hub.integrations.executions.store import NewExecution
from hub.integrations.pipeline import chain
from hub.integrations.pipeline.call import Context, Stopped, Tools
from hub.integrations.registry.kinds import HELD_BY_STATUS, REFUSING

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence
    from datetime import datetime

    import msgspec
    from sqlalchemy import Connection

    from hub.integrations.directory import Directory
    from hub.integrations.registry.policies import Access
    from hub.integrations.target import Target

#: Flows that may follow from one another: the cut of a loop.
MAX_DEPTH = 8

#: Of what is judged at the door.
_NOBODY = Context(new_uuid())


class Refused(Forbidden):
    """The integration's own rules say no to this caller."""

    code = "refused"
    title = "Refused by the integration's access rules"


class NotAllowed(Invalid):
    """An operation that the integration's own rules allow nobody."""


#: Of the audit log.
REFUSED = "execution.refused"
#: What the audit log tells of a call that was not accepted.
REFUSALS = (Refused, NotAllowed)
_NOT_ALLOWED = "the integration does not allow this operation"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Args:
        key_id: the API key; None for the other doors.
        roles: of the key.
    """

    key_id: uuid.UUID | None = None
    roles: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """What started an execution, when it is made again as it was: its input is the event.

    Args:
        flow_id: the flow.
        event_id: the event.
        mapping: the flow's steps as they were, which make the operation's input.
    """

    flow_id: uuid.UUID
    event_id: uuid.UUID | None
    mapping: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Wish:
    """One operation that a caller asks for.

    Args:
        operation: its name.
        input: what it takes.
        at: where it stands in the caller's body, for errors: empty, or `items.3.`.
        user: on whose behalf.
        component: which part of the caller's system asks.
        not_before: when it is made at the earliest; None is now.
        traceparent: the caller's trace.
        depth: how many flows led here.
        origin: the flow that makes the input of what is given; None: it is the input.
    """

    operation: str
    input: Any
    at: str = ""
    user: str | None = None
    component: str | None = None
    not_before: datetime | None = None
    traceparent: str | None = None
    depth: int = 0
    origin: Origin | None = None


class Doors:
    """Where executions are accepted; one a process.

    Args:
        directory: the integrations; their secrets may stay closed.
        tools: what judging an input needs; expressions are left to the workers.
    """

    def __init__(self, directory: Directory, tools: Tools) -> None:
        self._directory = directory
        self._tools = tools

    def look(self, conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID) -> Target | None:
        """An integration as it is now; None when the tenant has no such one, or it cannot be read here."""
        return self._directory.targets(conn, [(tenant_id, integration_id)]).get(integration_id)

    def target(self, conn: Connection, tenant_id: uuid.UUID, integration_id: uuid.UUID) -> Target:
        """An integration as it is now.

        Raises:
            NotFound: the tenant has no such integration.
            Conflict: what is stored of it cannot be read here.
        """
        targets = self._directory.targets(conn, [(tenant_id, integration_id)])
        if integration_id not in targets:
            raise NotFound(f"There is no integration {format_id(Kind.INTEGRATION, integration_id)}.")
        found = targets[integration_id]
        if found is None:
            raise Conflict("The integration's definition cannot be read here: the server's log says why.")
        return found

    def accept(
        self,
        conn: Connection,
        tenant_id: uuid.UUID,
        integration_id: uuid.UUID,
        wishes: Sequence[Wish],
        *,
        source: str,
        caller: Caller | None = None,
        **marks: Any,
    ) -> list[uuid.UUID]:
        """Write executions: all of them or none. Commit, then ring.

        Args:
            conn: a connection inside a transaction.
            tenant_id: who asks.
            integration_id: of what.
            wishes: 1 to 1,000.
            source: the door.
            caller: the API key; None: the door itself is trusted.
            marks: further columns of all of them: `batch_id`, `schedule_id`, `replay_of`.

        Returns:
            Their ids, in order.

        Raises:
            NotFound: the tenant has no such integration.
            Conflict: it is inactive, or cannot be read here.
            Refused: its access rules say no.
            Invalid: an operation or an input is wrong; with one field for every fault.
        """
        target = self.target(conn, tenant_id, integration_id)
        if target.hold == HELD_BY_STATUS + REFUSING:
            raise Conflict(f"The integration is {REFUSING}; nothing is accepted for it until it is active.")
        self.check(target, wishes, caller)
        rows = [
            NewExecution(
                new_uuid(),
                integration_id,
                wish.operation,
                json.dumps(wish.input),
                caller=None if caller is None else caller.key_id,
                on_behalf_of=wish.user,
                component=wish.component,
                traceparent=wish.traceparent,
                depth=wish.depth,
                due_at=wish.not_before,
                **_marks(wish.origin),
                **marks,
            )
            for wish in wishes
        ]
        store.insert_executions(conn, tenant_id, source, rows)
        return [row.id for row in rows]

    def check(self, target: Target, wishes: Sequence[Wish], caller: Caller | None = None) -> None:
        """Judge what is asked for, as far as that can be done without the service.

        Raises:
            Refused: the access rules say no.
            NotAllowed: it allows nobody an operation; with one field for every fault.
            Invalid: an operation or an input is wrong; likewise.
        """
        faults: list[FieldError] = []
        for wish in wishes:
            if caller is not None:
                check_access(target.access, caller, wish.user)
            faults += [FieldError(wish.at + one.path, one.message) for one in self._faults(target, wish)]
        if faults:
            allowed = all(target.allows(wish.operation) for wish in wishes)
            raise (Invalid if allowed else NotAllowed).of(faults)

    def _faults(self, target: Target, wish: Wish) -> Sequence[FieldError]:
        if not target.allows(wish.operation):
            return (FieldError("operation", _NOT_ALLOWED),)
        form = target.operations.get(wish.operation, target.free)
        if wish.origin is not None or any(steps.needs_sandbox for steps in form.request_steps):
            # The name alone is judged here: a flow has yet to make the input, and expressions, which take a process and
            # up to 300 ms each, are left to the worker.
            if wish.operation in target.operations or wish.operation == target.transport.free_operation:
                return ()
            return (FieldError("operation", "this integration has no such operation"),)
        judged = chain.judge(target, wish.operation, wish.input, _NOBODY, self._tools)
        if not isinstance(judged, Stopped) or judged.state is State.SKIPPED:
            return ()
        return judged.fields or (FieldError("input", judged.message.rstrip(".")),)


def _marks(origin: Origin | None) -> dict[str, Any]:
    if origin is None:
        return {}
    return {"flow_id": origin.flow_id, "event_id": origin.event_id, "mapping": origin.mapping}


def check_access(access: Access, caller: Caller, user: str | None) -> None:
    """May this caller call the integration at all?

    Raises:
        Refused: its rules name others.
    """
    if not (access.api_keys or access.users or access.roles):
        return
    if caller.key_id is not None and format_id(Kind.API_KEY, caller.key_id) in access.api_keys:
        return
    if user is not None and user in access.users:
        return
    if not set(access.roles).isdisjoint(caller.roles):
        return
    raise Refused("The integration's access rules allow neither this API key nor its roles nor this user.")


def note_refusal(
    conn: Connection,
    tenant_id: uuid.UUID,
    caller: Caller,
    integration_id: uuid.UUID,
    error: Refused | NotAllowed,
    **details: Any,
) -> None:
    """Refused calls are part of the audit log.

    Args:
        conn: a connection inside a transaction; not that of the call, which is rolled back.
        tenant_id: whose.
        caller: who was refused.
        integration_id: of what.
        error: why.
        details: what was asked for; None is left out.
    """
    told = {name: value for name, value in details.items() if value is not None}
    subject = format_id(Kind.INTEGRATION, integration_id)
    # The faults of inputs, which may stand beside, are nobody's but the caller's.
    why = _NOT_ALLOWED if isinstance(error, NotAllowed) else error.detail
    audit.note(conn, tenant_id, caller.key_id, REFUSED, subject, {**told, "why": why})
