"""An execution that was claimed, what came of it, and the calls that are under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hub.integrations.pipeline.call import Stopped
from hub.integrations.pipeline.chain import Made

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from sqlalchemy import Connection, Row

    from hub.db.ledger import Attempt
    from hub.db.states import State
    from hub.integrations.executions.store import Result as End
    from hub.integrations.pipeline.call import Call
    from hub.integrations.pipeline.retry import Decision
    from hub.integrations.target import Target

#: Part of a lease that a call may take; the rest is for recording it.
CALL_SHARE = 0.8


@dataclass(slots=True)
class Job:
    """One execution, claimed. `started_at`, `idempotent` and `call` are set when its call begins, `verdict` at its end.

    Attributes:
        target: its integration; None when it was deleted, or is `unreadable` here.
        publish: what its flow publishes of its end; None for other executions.
        published: what was made of that, for those who are told.
        size: bytes of its input, as text.
    """

    id: uuid.UUID
    tenant_id: uuid.UUID
    fence: int
    attempt: int
    step: int
    integration_id: uuid.UUID
    operation: str
    input: Any
    lapses: int
    target: Target | None
    caller: uuid.UUID | None = None
    user: str | None = None
    traceparent: str | None = None
    depth: int = 0
    reason: str | None = None
    flow_id: uuid.UUID | None = None
    mapping: str | None = None
    over_quota: float | None = None
    #: The day on which its call was counted; None: it was not.
    counted: date | None = None
    started_at: datetime | None = None
    idempotent: bool = False
    call: Call | None = None
    given_up: bool = False
    verdict: Verdict | None = None
    unreadable: bool = False
    publish: Any = None
    published: Any = None
    size: int = 0

    @classmethod
    def of(
        cls,
        row: Row[Any],
        *,
        input: Any,  # noqa: A002 - the field's name
        mapping: str | None,
        target: Target | None = None,
        unreadable: bool = False,
        size: int = 0,
    ) -> Job:
        """The job of a row of `execution`.

        Args:
            row: with the columns of the ledger and of the execution.
            input: of the row, read.
            mapping: of the row, as JSON text.
            target: see the attributes.
            unreadable: its integration is there, and cannot be read by this process.
            size: bytes of its input, as text.
        """
        return cls(
            row.id,
            row.tenant_id,
            row.fence,
            row.attempt,
            row.step,
            row.integration_id,
            row.operation,
            input,
            row.lapses,
            target,
            row.caller,
            row.on_behalf_of,
            row.traceparent,
            row.depth,
            row.reason,
            row.flow_id,
            mapping,
            unreadable=unreadable,
            size=size,
        )

    @property
    def timeout(self) -> float:
        """Seconds for its call, by the definition; 0 without an integration."""
        if self.target is None:
            return 0.0
        form = self.target.operations.get(self.operation)
        return (None if form is None else form.timeout) or self.target.timeout

    @property
    def event(self) -> Any:
        """The event that a flow was started by; None for other executions."""
        return self.input if self.flow_id is not None else None


#: A job and what came of it; None: it was given up at shutdown.
Result = tuple[Job, Made | Stopped | None]


class Verdict(NamedTuple):
    """What becomes of an execution: the decision, the attempt that is kept, and its end, should this be it."""

    decision: Decision
    attempt: Attempt | None
    end: End


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution that is at its end, for those who are told of it."""

    job: Job
    state: State
    reason: str | None
    end: End


#: Writes what others are to hear of ended executions, in the transaction that ends them; gives back what is to be done
#: after its commit.
Announce = Callable[["Connection", "Sequence[Ended]"], Callable[[], None] | None]


class Teller(Protocol):
    """Makes what is announced, where it costs nobody else: in the thread of the call."""

    def load(self, conn: Connection, jobs: Sequence[Job]) -> None:
        """Note what flows publish of these executions, in the transaction of their claim."""
        ...

    def make(self, ended: Ended) -> None:
        """Make what is published of an end."""
        ...


class Announcing(Teller, Protocol):
    """A teller that announces too, for ends that no worker makes."""

    def announce(self, conn: Connection, ended: Sequence[Ended]) -> Callable[[], None] | None:
        """Write what others are to hear; see `Announce`."""
        ...


class CallsUnderWay:
    """The calls of a process that have left it: what can be cut off. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[uuid.UUID, Job] = {}

    def add(self, job: Job) -> None:
        """Its call begins."""
        with self._lock:
            self._jobs[job.id] = job

    def remove(self, job: Job) -> None:
        """Its call ended. A newer one of the same execution stays."""
        with self._lock:
            if self._jobs.get(job.id) is job:
                del self._jobs[job.id]

    def claims(self) -> dict[uuid.UUID, int]:
        """Their fences by id."""
        with self._lock:
            return {one: job.fence for one, job in self._jobs.items()}

    def cut_off(self, claims: Mapping[uuid.UUID, int]) -> int:
        """End these calls; how many there were.

        Args:
            claims: fences by id: what was claimed again meanwhile is another call, and goes on.
        """
        with self._lock:
            jobs = [
                job for one, fence in claims.items() if (job := self._jobs.get(one)) and job.fence == fence
            ]
        found = [job for job in jobs if job.call is not None]
        for job in found:
            assert job.call is not None
            job.call.cancellation.cancel()
        return len(found)
