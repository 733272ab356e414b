"""The headers of a task message as far as Celery trusts them blindly: a wrong type in one of them ends a worker.

Protocol 2 (https://docs.celeryq.dev/en/stable/internals/protocol.html); the hub and its clients send nothing else.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_Limit = float | None


class TaskHeaders(BaseModel):
    """Types only: whether a task exists and a date is a date is found out by Celery. Other headers are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")

    task: str = Field(min_length=1, max_length=256)
    id: str = Field(min_length=1, max_length=256)
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    group_index: int | None = None
    shadow: str | None = None
    lang: str | None = None
    origin: str | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    eta: str | None = None
    expires: str | None = None
    retries: int | None = Field(default=0, ge=0)
    replaced_task_nesting: int | None = 0
    timelimit: list[_Limit] | None = Field(default=None, min_length=2, max_length=2)
    ignore_result: bool | None = None
    stamps: dict[str, Any] | None = None
    stamped_headers: list[str] | None = None
    compression: str | None = None


def fault_of(headers: dict[str, Any]) -> str | None:
    """What is wrong with a task message's headers, in a few words; None when they are fine."""
    try:
        TaskHeaders.model_validate(headers)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
    return None
