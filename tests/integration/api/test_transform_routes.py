"""Filters and steps, tried on a sample over HTTP."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Any

import pytest

from hub.core.errors import Unavailable
from hub.transforms import sandbox
from tests.integration.integrations.conftest import world
from tests.integration.integrations.world import World

__all__ = ["world"]


def tried(world: World, **body: Any) -> dict[str, Any]:
    answer = world.call("POST", "/transformations/preview", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_each_step_is_shown(world: World) -> None:
    steps = [{"rename": {"a": "b"}}, {"jsonata": '{"c": b + 1}'}, {"set_header": {"X-C": "{{ c }}"}}]
    shown = tried(world, filter={"a": {"$gt": 1}}, transformations=steps, sample={"a": 2})
    assert [one["document"] for one in shown["steps"]] == [{"b": 2}, {"c": 3}, {"c": 3}]
    assert (shown["matches"], shown["outcome"], shown["document"], shown["headers"]) == (
        True, "transformed", {"c": 3}, {"X-C": "3"},
    )  # fmt: skip


def test_a_step_that_fails_says_which_and_why(world: World) -> None:
    shown = tried(world, transformations=[{"pick": ["a"]}, {"cast": {"a": "number"}}], sample={"a": "x"})
    assert (shown["outcome"], shown["index"], shown["document"], shown["would_send"]) == (
        "failed",
        1,
        None,
        False,
    )
    assert shown["reason"]


def test_a_hanging_expression_ends_and_the_next_one_works(world: World) -> None:
    endless = "($f := function($n) { $f($n + 1) }; $f(0))"
    assert tried(world, transformations=[{"jsonata": endless}], sample={})["outcome"] == "failed"
    assert tried(world, transformations=[{"jsonata": "1 + 1"}], sample={})["document"] == 2


def test_what_is_wrong_is_named_with_its_place(world: World) -> None:
    answer = world.call(
        "POST", "/transformations/preview", json={"transformations": [{"fly": 1}, {"jmespath": "a["}]}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"].startswith("transformations[0]")


def test_it_needs_a_key(world: World) -> None:
    assert world.call("POST", "/transformations/preview", json={}, key="hub_no").status_code == 401


STEPS = [{"jsonata": '{"b": data}'}]


def evaluating(world: World) -> list[tuple[str, str, dict[str, Any]]]:
    """Each request that evaluates expressions or reads them, beside those of integrations."""
    address = "http://127.0.0.1:9"
    integration = world.create(address)["id"]
    endpoint = {"name": "one", "url": address, "event_types": ["*"], "transformations": STEPS}
    assert world.call("POST", "/endpoints", json=endpoint).status_code == 201
    flow = {"event_types": ["a"], "integration": integration, "operation": "get_user", "mapping": STEPS}
    made = world.call("POST", "/flows", json={**flow, "name": "one"}).json()["id"]
    return [
        ("POST", "/flows", {**flow, "name": "other"}),
        ("PATCH", f"/flows/{made}", {"mapping": STEPS}),
        ("POST", f"/flows/{made}/test", {"type": "a"}),
        ("POST", "/transformations/preview", {"transformations": STEPS, "sample": {}}),
        ("POST", "/events/dry-run", {"type": "a", "data": {}}),
    ]


def test_expressions_are_evaluated_in_the_turns_of_their_tenant(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    ask = sandbox.Sandbox._ask

    def recorded(self: sandbox.Sandbox, question: bytes) -> Any:
        seen.append(sandbox._BENEFICIARY.get())
        return ask(self, question)

    requests = evaluating(world)
    monkeypatch.setattr(sandbox.Sandbox, "_ask", recorded)
    for method, path, body in requests:
        seen.clear()
        assert world.call(method, path, json=body).status_code in {200, 201}, path
        assert set(seen) == {world.tenant_id}, path


def test_who_evaluates_much_at_once_leaves_the_threads_to_others(world: World) -> None:
    requests = evaluating(world)
    other = world.other_key(tenant="globex")
    with ExitStack() as held:
        with suppress(Unavailable):
            while True:
                held.enter_context(world.services.slow.place(world.tenant_id))
        for method, path, body in requests:
            assert world.call(method, path, json=body).status_code == 503, path
        assert (
            world.call("POST", "/transformations/preview", json=requests[3][2], key=other).status_code == 200
        )
    for method, path, body in requests:
        assert world.call(method, path, json=body).status_code in {200, 201}, path
