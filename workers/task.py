"""How a task is declared: a name and a payload of the contract, and nothing that a broken message could crash."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from hub.queue.app import get_app
from hub.queue.contracts import ROUTES, Payload, TaskName
from workers.rejected import record

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)
P = TypeVar("P", bound=Payload)


def hub_task(name: TaskName, model: type[P]) -> Callable[[Callable[[P], Any]], Callable[[P], Any]]:
    """Register a function as the task of this name; it receives the checked payload.

    A payload that does not fit is recorded in `rejected_message` and answered as done: it would not fit next time.
    """

    def register(function: Callable[[P], Any]) -> Callable[[P], Any]:
        def run(*positional: Any, payload: Any = None, **unknown: Any) -> Any:
            if positional:
                record(
                    task=name.value,
                    queue=ROUTES[name].value,
                    reason="payload: must be given by its name",
                    headers={},
                    body=positional,
                )
                return "rejected"
            try:
                checked = model.model_validate({} if payload is None else payload)
            except ValidationError as error:
                faults = "; ".join(
                    f"{'.'.join(map(str, e['loc'])) or 'payload'}: {e['msg']}"
                    for e in error.errors(include_input=False, include_url=False, include_context=False)
                )
                record(
                    task=name.value,
                    queue=ROUTES[name].value,
                    reason=f"payload: {faults}",
                    headers={},
                    body=payload,
                )
                return "rejected"
            if unknown:
                log.debug("%s ignores the arguments %s of a newer sender.", name.value, sorted(unknown))
            return function(checked)

        get_app().task(name=name.value, ignore_result=True)(run)
        return function

    return register
