from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from hub.queue.app import get_app
from hub.queue.contracts import ROUTES, EventIn, Payload, PublishEvents, TaskName
from tests.contracts.catalogue import MODELS, broken, golden, schema, schema_file
from workers.tasks import load


def covers(sent: Any, read: Any) -> bool:
    """Everything that was sent is in what was read."""
    if isinstance(sent, dict):
        return all(name in read and covers(value, read[name]) for name, value in sent.items())
    if isinstance(sent, list):
        return len(sent) == len(read) and all(map(covers, sent, read))
    return bool(sent == read)


def widened(value: Any) -> Any:
    """The same payload from a newer sender: an unknown field in every object that a model reads."""
    if isinstance(value, list):
        return [widened(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: item if name == "input" else widened(item) for name, item in value.items()} | {
        "of_the_future": 1
    }


@pytest.mark.parametrize("name", TaskName)
def test_golden_payloads_are_understood_without_loss(name: TaskName) -> None:
    for sent in golden(name):
        assert covers(sent, MODELS[name].model_validate(sent).model_dump(mode="json"))


@pytest.mark.parametrize("name", TaskName)
def test_fields_of_a_newer_sender_are_ignored(name: TaskName) -> None:
    for sent in golden(name):
        assert MODELS[name].model_validate(widened(sent)) == MODELS[name].model_validate(sent)


@pytest.mark.parametrize("name", TaskName)
def test_every_task_is_registered_with_this_payload_and_routed(name: TaskName) -> None:
    load()
    run = get_app().tasks[name.value].run
    found = inspect.getclosurevars(getattr(run, "__func__", run)).nonlocals["model"]
    assert found is MODELS[name]
    assert name in ROUTES


@pytest.mark.parametrize("model", list(dict.fromkeys(MODELS.values())))
def test_no_field_was_removed_or_changed(model: type[Payload]) -> None:
    snapshot = json.loads(schema_file(model).read_text())
    assert broken(snapshot, schema(model)) == [], "make a new task name that ends in .v2 instead"
    assert snapshot == schema(model), (
        "a field was added: run `python -m tests.contracts.catalogue` and commit"
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda s: s["properties"].pop("tenant"), "tenant was removed"),
        (lambda s: s["properties"]["tenant"].update(type="integer"), "tenant.type changed"),
        (
            lambda s: s["properties"]["events"]["items"]["properties"].pop("data"),
            "events.items.data was removed",
        ),
        (lambda s: s["properties"]["events"].update(maxItems=10), "events.maxItems changed"),
        (lambda s: s["required"].append("new"), "new is required now"),
    ],
)
def test_a_breaking_change_would_be_seen(change: Any, fault: str) -> None:
    old = schema(PublishEvents)
    new = json.loads(json.dumps(old))
    change(new)
    assert fault in "; ".join(broken(old, new))


def test_an_optional_field_may_be_added() -> None:
    old = schema(EventIn)
    new = json.loads(json.dumps(old))
    new["properties"]["colour"] = {"type": "array", "default": []}
    assert broken(old, new) == []
