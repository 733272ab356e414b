"""What the contract tests look after: every task with its payload model, and the committed files.

`python -m tests.contracts.catalogue` writes the schema snapshots anew, after a field was added on purpose.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hub.queue.contracts import Doorbell, Payload, PublishEvents, SubmitExecution, TaskName, Tick

HERE = Path(__file__).parent

MODELS: dict[TaskName, type[Payload]] = {
    TaskName.EVENTS_PUBLISH: PublishEvents,
    TaskName.EXECUTIONS_SUBMIT: SubmitExecution,
    TaskName.EXECUTIONS_RUN: Doorbell,
    TaskName.DELIVERIES_SEND: Doorbell,
    TaskName.REPLAYS_RUN: Doorbell,
    TaskName.SCHEDULES_START: Tick,
    TaskName.GRANTS_POLL: Tick,
    TaskName.CHECKS_START: Tick,
    TaskName.CHECKS_RUN: Doorbell,
    TaskName.LEDGER_SWEEP: Tick,
    TaskName.ENDPOINTS_REVIEW: Tick,
    TaskName.ALERTS_REVIEW: Tick,
    TaskName.HISTORY_PRUNE: Tick,
}


def golden(name: TaskName) -> list[dict[str, Any]]:
    """Payloads that were sent once and must be understood for ever."""
    found: list[dict[str, Any]] = json.loads((HERE / "golden" / f"{name.value}.json").read_text())
    return found


def message(name: str) -> dict[str, Any]:
    """A whole Celery message as it must look on the wire."""
    found: dict[str, Any] = json.loads((HERE / "messages" / f"{name}.json").read_text())
    return found


def schema_file(model: type[Payload]) -> Path:
    """Where the snapshot of a payload is."""
    return HERE / "schemas" / f"{model.__name__}.json"


def schema(model: type[Payload]) -> dict[str, Any]:
    """A payload's fields without their descriptions, nested models in place."""
    made = model.model_json_schema()
    resolved: dict[str, Any] = _resolve(made, made.get("$defs", {}))
    return resolved


def broken(old: Any, new: Any, at: tuple[str, ...] = ()) -> list[str]:
    """Why messages that fitted an old schema may not fit a new one, or lose something in it; empty when they do."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{'.'.join(at)} changed from {old!r} to {new!r}"]
    faults = []
    new_fields = new.get("properties", {})
    for name, field in old.get("properties", {}).items():
        if name in new_fields:
            faults += broken(field, new_fields[name], (*at, name))
        else:
            faults.append(f"{'.'.join((*at, name))} was removed")
    for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
        faults.append(f"{'.'.join((*at, name))} is required now")
    for name in sorted((set(old) | set(new)) - {"properties", "required"}):
        faults += broken(old.get(name), new.get(name), (*at, name))
    return faults


def _resolve(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_resolve(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _resolve(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
    hidden = {"$defs", "description", "title"}
    return {
        # A field may be called "title"; the keyword of that name is only text.
        name: {key: _resolve(value, definitions) for key, value in child.items()}
        if name == "properties"
        else _resolve(child, definitions)
        for name, child in node.items()
        if name == "properties" or name not in hidden
    }


if __name__ == "__main__":
    for payload in set(MODELS.values()):
        schema_file(payload).write_text(json.dumps(schema(payload), indent=2, sort_keys=True) + "\n")
