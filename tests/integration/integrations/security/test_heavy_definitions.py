"""Definitions that cost much to read: refused when they are saved, and never a burden on others' work."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from hub.core.clock import SystemClock
from hub.core.errors import Invalid
from hub.integrations.registry.definition import check_create, draft_create
from hub.integrations.target import load_target
from hub.net.policy import AddressPolicy

POLICY = AddressPolicy(allow=["127.0.0.0/8"])


def judged(**fields: Any) -> Any:
    given = {"name": "heavy", "base_url": "https://127.0.0.1", **fields}
    return check_create(draft_create(given), POLICY)


def patterns(text: str, count: int, operation: int = 0) -> dict[str, Any]:
    made = {f"p{n}": {"pattern": text.replace("@", f"{operation}x{n}")} for n in range(count)}
    return {"path": "/", "input_schema": {"properties": made}}


@pytest.mark.parametrize(
    "operations",
    [
        {"one": patterns(r"\pL{1,30}@", 4000)},
        {"refused": patterns(r"\pL{1,300}@", 4000)},
        {f"o{n}": patterns("^a{1,900}@$", 40, n) for n in range(500)},
    ],
    ids=["one-schema", "all-refused", "many-schemas"],
)
def test_patterns_that_take_minutes_to_compile_are_refused_at_once(operations: dict[str, Any]) -> None:
    begun = time.process_time()
    with pytest.raises(Invalid) as caught:
        judged(operations=operations)
    # It took two minutes; a loaded machine gets some room.
    assert time.process_time() - begun < 8
    assert any("patterns" in fault.message for fault in caught.value.fields)


def test_usual_patterns_are_taken() -> None:
    judged(operations={f"o{n}": patterns("^[a-z0-9-]{1,63}@$", 20, n) for n in range(50)})


def test_a_definition_at_its_limits_is_loaded_without_compiling_it() -> None:
    steps = [{"set": {"a": 1}}] * 50
    operations = {
        f"o{n}": {"path": "/", "request_transform": steps, "response_transform": steps} for n in range(500)
    }
    columns = judged(operations=operations).columns
    row = SimpleNamespace(
        **columns,
        id=uuid4(),
        tenant_id=uuid4(),
        version=1,
        secret_ids={},
        updated_at=SystemClock().now(),
        granted_at=None,
    )
    begun = time.process_time()
    target = load_target(cast("Any", row), {})
    # Claims wait for this, everybody's; compiling takes most of a second.
    assert time.process_time() - begun < 0.25
    assert target is not None
    assert len(target.operations["o7"].request_steps) == 1
