"""Query parameters that a route does not have, on every route of `/v1`."""

from __future__ import annotations

import re
from typing import Any

from hub.core.ids import Kind, format_id, new_uuid
from tests.integration.api.conftest import RunningHub
from tests.integration.api.test_app import assert_problem


def routes(hub: RunningHub) -> list[tuple[str, str, list[str]]]:
    """Method, path and query parameters of each route under `/v1`."""
    document: dict[str, Any] = hub.app.openapi()
    found = [
        (
            method.upper(),
            re.sub(r"\{\w+\}", format_id(Kind.ENDPOINT, new_uuid()), path),
            sorted(one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"),
        )
        for path, operations in document["paths"].items()
        if path.startswith("/v1/")
        for method, operation in operations.items()
    ]
    assert len(found) > 50
    return found


def test_every_route_refuses_a_parameter_that_it_does_not_have_and_names_those_it_has(
    hub: RunningHub,
) -> None:
    for method, path, names in routes(hub):
        answer = hub.call(method, path, params={"nope": "1"})
        problem = assert_problem(answer, 422, "invalid_input", "query.nope")
        (error,) = problem["errors"]
        told = re.findall(r"`(\w+)`", error["message"])
        assert told == names, (method, path, error)
        assert names or "takes none" in error["message"]


def test_a_stranger_is_not_told_about_parameters(hub: RunningHub) -> None:
    for method, path, _ in routes(hub):
        assert_problem(hub.call(method, path, key=None, params={"nope": "1"}), 401, "unauthenticated")


def test_every_unknown_one_is_named_and_nothing_is_done(hub: RunningHub) -> None:
    answer = hub.call("GET", "/v1/endpoints?limit=1&Limit=2&nope&nope=3&%C3%A9=1")
    problem = assert_problem(answer, 422, "invalid_input")
    assert [error["path"] for error in problem["errors"]] == ["query.Limit", "query.nope", "query.\\xe9"]
    event = {"type": "a.b", "data": 1}
    assert_problem(
        hub.call("POST", "/v1/events?partal=true", json=[event]), 422, "invalid_input", "query.partal"
    )
    assert hub.call("GET", "/v1/events").json()["data"] == []
    assert hub.bell.rings == []


def test_known_ones_are_taken_as_before(hub: RunningHub) -> None:
    assert hub.call("GET", "/v1/endpoints?limit=1").status_code == 200
    answer = hub.call(
        "POST", "/v1/events?partial=true", json=[{"type": "a.b", "data": 1}, {"type": "a..b", "data": 1}]
    )
    assert answer.status_code == 202, answer.text
    assert [one["status"] for one in answer.json()["data"]] == ["accepted", "invalid"]
    assert hub.call("GET", "/healthz?nope=1", key=None).status_code == 200


def test_a_list_is_partial_or_not_and_nothing_between(hub: RunningHub) -> None:
    answer = hub.call("POST", "/v1/events?partial=1", json=[{"type": "a.b", "data": 1}, {"data": 1}])
    assert answer.status_code == 422, answer.text
    assert "query.partial must be true or false" in answer.json()["detail"]
    answer = hub.call("POST", "/v1/events?partial=true", json=[{"type": "a.b", "data": 1}, {"data": 1}])
    assert [one["status"] for one in answer.json()["data"]] == ["accepted", "invalid"]
