"""Filters and steps, tried on a sample over HTTP."""

from __future__ import annotations

from typing import Any

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
