"""The Celery door for executions."""

from __future__ import annotations

from functools import lru_cache

from hub.core.errors import HubError
from hub.core.ids import Kind, format_id
from hub.db.engine import get_engine
from hub.integrations.directory import Directory
from hub.integrations.executions.accepting import Doors
from hub.integrations.executions.celery_door import accept_from_celery
from hub.integrations.pipeline.call import Tools
from hub.net.session import GuardedSession
from hub.queue.contracts import Queue, SubmitExecution, TaskName
from workers import context
from workers.rejected import record
from workers.task import hub_task


@lru_cache(maxsize=1)
def _doors() -> Doors:
    """Keeps the directory of integrations between messages."""
    return Doors(Directory(None), Tools(GuardedSession(context.get_policy())))


@hub_task(TaskName.EXECUTIONS_SUBMIT, SubmitExecution)
def submit_execution(payload: SubmitExecution) -> dict[str, str | bool] | str:
    """Write the execution; a repeat of the message is harmless."""
    try:
        execution_id, fresh = accept_from_celery(get_engine(), _doors(), payload)
    except HubError as error:
        record(
            task=TaskName.EXECUTIONS_SUBMIT.value,
            queue=Queue.INTAKE.value,
            reason=error.detail,
            headers={},
            body=payload.model_dump(exclude={"input"}),
        )
        return "rejected"
    public_id = format_id(Kind.EXECUTION, execution_id)
    if fresh:
        context.get_bell().ring(TaskName.EXECUTIONS_RUN, [public_id])
    return {"id": public_id, "fresh": fresh}
