from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hub.queue.contracts import (
    DOORBELL_IDS,
    ROUTES,
    Doorbell,
    EventIn,
    PublishEvents,
    SubmitExecution,
    TaskName,
    Tick,
)

EVENT = {"id": "a", "type": "a.b", "data": "{}"}


def test_every_task_has_a_route_and_a_name_of_the_house() -> None:
    assert set(ROUTES) == set(TaskName)
    assert all(name.value.startswith("hub.") and name.value.count(".") == 2 for name in TaskName)


@pytest.mark.parametrize(
    ("model", "payload"),
    [
        (Doorbell, {"ids": ["x"]}),
        (Tick, {"name": "x", "scheduled_for": "2030-01-01T00:00:00+00:00"}),
        (PublishEvents, {"tenant": "ten_x", "events": [EVENT]}),
        (
            SubmitExecution,
            {"tenant": "t", "idempotency_key": "k", "integration": "i", "operation": "o", "input": {}},
        ),
    ],
)
def test_fields_of_a_newer_sender_are_ignored(model: Any, payload: dict[str, Any]) -> None:
    assert model.model_validate({**payload, "added_later": 1}) == model.model_validate(payload)


@pytest.mark.parametrize(
    ("model", "payload"),
    [
        (Doorbell, {"ids": ["x"] * (DOORBELL_IDS + 1)}),
        (Doorbell, {"ids": [1]}),
        (Doorbell, []),
        (PublishEvents, {"tenant": "t", "events": []}),
        (PublishEvents, {"tenant": "t", "events": [EVENT] * 1001}),
        (PublishEvents, {"events": [EVENT]}),
        (EventIn, {**EVENT, "id": ""}),
        (EventIn, {**EVENT, "data": {"not": "text"}}),
        (EventIn, {**EVENT, "data": "x" * 1_048_577}),
        (SubmitExecution, {"tenant": "t", "idempotency_key": "", "integration": "i", "operation": "o"}),
    ],
)
def test_what_does_not_fit_is_refused(model: Any, payload: Any) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(payload)
