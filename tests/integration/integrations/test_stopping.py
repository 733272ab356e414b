"""Executions that end before a call: what is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core.ids import new_uuid
from hub.integrations.executions.ending import no_answer
from hub.integrations.executions.job import Job
from tests.integration.integrations.provider import Provider
from tests.integration.integrations.world import World

ALWAYS = ["load", "access", "flow", "request_transform"]
TO_THE_QUOTA = [*ALWAYS, "schema", "prepare", "cache", "quota"]


@pytest.mark.parametrize(
    ("fields", "kind", "recoverable", "links"),
    [
        ({"quota": {"calls_per_day": 0}}, "quota_exceeded", True, TO_THE_QUOTA),
        ({"request_transform": [{"jsonata": "$error('no')"}]}, "request_transform", False, ALWAYS),
        ({"request_transform": [{"cancel_if": {"path.id": 7}}]}, None, False, ALWAYS),
    ],
    ids=["quota", "transformation", "skipped"],
)
def test_what_ended_before_its_call_has_the_time_of_every_link_that_it_passed(
    world: World,
    provider: Provider,
    fields: dict[str, Any],
    kind: str | None,
    recoverable: bool,
    links: list[str],
) -> None:
    made = world.create(provider.url, **fields)
    execution = world.execute(made["id"])
    world.run_executions()
    detail = world.read(execution)
    assert not provider.calls
    assert detail["error"]["type"] == (kind or "cancelled_by_transform")
    assert detail["error"]["recoverable"] is recoverable
    assert list(detail["metrics"]["links"]) == links
    assert all(ms >= 0 for ms in detail["metrics"]["links"].values())
    assert detail["metrics"]["transformation_ms"] == pytest.approx(
        detail["metrics"]["links"]["request_transform"] + detail["metrics"]["links"]["flow"], abs=0.002
    )


@pytest.mark.parametrize(
    ("kind", "recoverable"),
    [
        ("rate_limited", True),
        ("quota_exceeded", True),
        ("invalid_input", False),
        ("operation_not_allowed", False),
        ("integration_deleted", False),
        ("interrupted", False),
    ],
)
def test_what_time_alone_mends_is_recoverable(kind: str, recoverable: bool) -> None:
    job = Job(new_uuid(), new_uuid(), 1, 1, 0, new_uuid(), "do", {}, 0, None)
    end = no_answer(job, kind, "It ended.", {"load": 1.23456})
    assert end.error == {"type": kind, "message": "It ended.", "recoverable": recoverable}
    assert end.timings == {"load": 1.235}
