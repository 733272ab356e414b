"""From the caller's input to what is sent, and from the service's answer to what the caller gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World

#: Fewer than a hundred characters that never end.
HANGING = [
    {"jsonata": "($f := function($n){ $f($n) }; $f(1))"},
    {"jsonata": "$sum([1..9999999].([1..9999999]))"},
]


def create(world: World, provider: Provider, operation: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return world.create(
        provider.url, operations={"do": {"method": "POST", "path": "/do", **operation}}, **fields
    )


def run(world: World, made: dict[str, Any], **given: Any) -> dict[str, Any]:
    execution = world.execute(made["id"], "do", **(given or {"body": {}}))
    world.run_executions()
    return world.read(execution)


def test_inputs_are_shaped_by_the_integration_then_by_the_operation(world: World, provider: Provider) -> None:
    made = create(
        world,
        provider,
        {
            "request_transform": [
                {"set_header": {"X-Order": "{{ body.id }}", "x-app": "mine"}},
                {"jsonata": '$merge([$, {"body": {"total": $sum(body.prices), "id": body.id}}])'},
            ]
        },
        request_transform=[{"rename": {"body.number": "body.id"}}, {"set_header": {"X-App": "hub"}}],
    )
    detail = run(
        world, made, body={"number": 7, "prices": [1, 2.5]}, headers={"X-Order": "old", "x-keep": "k"}
    )
    assert detail["state"] == "done"
    (call,) = provider.calls
    assert json.loads(call.body) == {"total": 3.5, "id": 7}
    assert (call.headers["x-order"], call.headers["x-app"], call.headers["x-keep"]) == ("7", "mine", "k")
    # What the caller sent stays what the caller sent.
    assert detail["input"]["body"] == {"number": 7, "prices": [1, 2.5]}
    assert detail["metrics"]["transformation_ms"] > 0
    assert {"request_transform", "transport", "response_transform"} <= detail["metrics"]["links"].keys()


def test_answers_are_shaped_by_the_integration_then_by_the_operation(
    world: World, provider: Provider
) -> None:
    provider.default = lambda _call: Answer(200, b'{"data":{"Items":[{"n":"1"},{"n":"2"}]}}')
    made = create(
        world,
        provider,
        {"response_transform": [{"jmespath": "{count: length(items), names: items[].n}"}]},
        response_transform=[{"rename": {"data.Items": "items"}}],
    )
    result = run(world, made)["result"]
    assert (result["encoding"], result["data"]) == ("json", {"count": 2, "names": ["1", "2"]})
    # An answer that is a failure is shown as it came.
    provider.default = lambda _call: Answer(422, b'{"data":{"Items":[]}}')
    assert run(world, made)["result"]["data"] == {"data": {"Items": []}}


def test_a_transform_can_call_it_off(world: World, provider: Provider) -> None:
    made = create(world, provider, {"request_transform": [{"cancel_if": {"body.test": True}}]})
    detail = run(world, made, body={"test": True})
    assert (detail["state"], detail["reason"], detail["attempts"]) == ("skipped", "cancelled_by_transform", 0)
    assert not provider.calls
    assert run(world, made, body={"test": False})["state"] == "done"


def test_a_transform_that_fails_before_the_call_costs_nothing_and_says_where(
    world: World, provider: Provider
) -> None:
    steps = [{"cast": {"body.total": "number"}}]
    made = create(world, provider, {"request_transform": steps})
    body = {"operation": "do", "input": {"body": {"total": "twelve"}}}
    refused = world.call("POST", f"/integrations/{made['id']}/execute", json=body)
    assert refused.status_code == 422
    assert "Step 0 (cast)" in refused.json()["detail"]
    assert not world.sql("SELECT 1 FROM hub.execution")
    # Expressions are left to the worker.
    late = create(world, provider, {"request_transform": [{"jmespath": "abs(body.total)"}]}, name="late")
    detail = run(world, late, body={"total": "twelve"})
    assert (detail["state"], detail["reason"], detail["attempts"]) == ("failed", "request_transform", 0)
    assert "jmespath" in detail["error"]["message"]
    assert not provider.calls


def test_an_answer_that_the_steps_do_not_fit_is_a_failure_that_is_not_repeated(
    world: World, provider: Provider
) -> None:
    provider.default = lambda _call: Answer(200, b'{"total":"twelve"}')
    made = create(world, provider, {"response_transform": [{"cast": {"total": "number"}}]})
    detail = run(world, made)
    assert (detail["state"], detail["reason"], detail["error"]["type"]) == (
        "failed",
        "permanent",
        "transform",
    )
    assert "Step 0 (cast)" in detail["error"]["message"]
    # What the service said is there.
    assert (detail["status"], detail["result"]["data"]) == (200, {"total": "twelve"})
    assert len(provider.calls) == 1


@pytest.mark.parametrize("step", HANGING, ids=["recursion", "product"])
def test_a_hanging_expression_ends_soon_and_the_next_one_works(
    world: World, provider: Provider, step: dict[str, str]
) -> None:
    hanging = create(world, provider, {"request_transform": [step]}, name="hanging")
    fine = create(
        world, provider, {"request_transform": [{"jsonata": '{"body": {"n": 1 + 1}}'}]}, name="fine"
    )
    # The child that evaluates is there already, as it is in a worker.
    assert run(world, fine)["state"] == "done"
    detail = run(world, hanging)
    assert (detail["state"], detail["reason"]) == ("failed", "request_transform")
    links = _dry_run(world, hanging)
    spent = next(link["ms"] for link in links if link["link"] == "request_transform")
    assert spent <= 400
    assert run(world, fine)["state"] == "done"
    assert json.loads(provider.calls[-1].body) == {"n": 2}


def _dry_run(world: World, made: dict[str, Any]) -> list[dict[str, Any]]:
    answer = world.call("POST", f"/integrations/{made['id']}/dry-run", json={"operation": "do"})
    assert answer.status_code == 200, answer.text
    links: list[dict[str, Any]] = answer.json()["links"]
    return links


def test_expressions_are_read_when_they_are_saved(world: World, provider: Provider) -> None:
    answer = world.call(
        "POST",
        "/integrations",
        json={
            "name": "x",
            "base_url": provider.url,
            "request_transform": [{"set": {"a": 1}}, {"jmespath": "a["}],
            "operations": {"do": {"path": "/", "response_transform": [{"jsonata": "$f("}]}},
        },
    )
    assert answer.status_code == 422
    paths = {error["path"] for error in answer.json()["errors"]}
    assert paths == {"request_transform[1].jmespath", "operations.do.response_transform[0].jsonata"}


def test_the_schema_judges_what_the_steps_made(world: World, provider: Provider) -> None:
    schema = {
        "type": "object",
        "required": ["body"],
        "properties": {"body": {"required": ["id"], "properties": {"id": {"type": "integer"}}}},
    }
    made = create(
        world,
        provider,
        {"input_schema": schema, "request_transform": [{"rename": {"body.number": "body.id"}}]},
    )
    assert run(world, made, body={"number": 3})["state"] == "done"
    path = f"/integrations/{made['id']}/execute"
    for body, where in (
        ({"number": "3"}, "input.body.id"),
        ({}, "input.body.id"),
        ({"id": 1.5}, "input.body.id"),
    ):
        answer = world.call("POST", path, json={"operation": "do", "input": {"body": body}})
        assert answer.status_code == 422, body
        assert where in str(answer.json()["errors"]), answer.text
    # Of a row from another door, the worker judges it.
    execution = world.execute(made["id"], "do", body={"number": 3})
    world.sql("UPDATE hub.execution SET input = '{\"body\": {}}' WHERE state = 'due'")
    world.run_executions()
    detail = world.read(execution)
    assert (detail["state"], detail["reason"], detail["attempts"]) == ("failed", "invalid_input", 0)
    assert len(provider.calls) == 1


TOKEN = "a-secret-token-0123"


def test_what_steps_made_is_shown_as_it_was_sent(world: World, provider: Provider) -> None:
    step = {"jsonata": '{"body": {"total": $sum(body.prices), "who": body.who}}'}
    made = create(world, provider, {"request_transform": [step]}, auth={"mode": "bearer", "token": TOKEN})
    who = [TOKEN, "Zoë", 123456789012345678901234567890, None, True]
    detail = run(world, made, body={"prices": [1, 2.5], "who": who})
    assert detail["request"]["payload"] == {"total": 3.5, "who": ["***", *who[1:]]}
    assert "payload_truncated" not in detail["request"]
    assert json.loads(provider.calls[0].body)["who"][0] == TOKEN


@pytest.mark.parametrize(
    "policy", [{"store": "none"}, {"redact": ["input.body.card"]}], ids=["none", "redact"]
)
def test_what_steps_made_of_what_must_not_be_kept_is_not_kept(
    world: World, provider: Provider, policy: dict[str, Any]
) -> None:
    steps = [{"rename": {"body.card": "body.pan"}}]
    made = create(world, provider, {"request_transform": steps}, data_policy=policy)
    detail = run(world, made, body={"card": "4111-1111"})
    assert json.loads(provider.calls[0].body) == {"pan": "4111-1111"}
    assert "payload" not in (detail["request"] or {})
    assert "4111" not in str(world.sql("SELECT to_jsonb(t)::text FROM hub.execution t"))


def test_what_the_input_says_is_not_kept_twice(world: World, provider: Provider) -> None:
    made = create(world, provider, {})
    detail = run(world, made, body={"name": "Ada", "n": [1, {"a": None}]})
    assert detail["request"].keys() == {"method", "endpoint", "headers"}
