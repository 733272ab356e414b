from __future__ import annotations

from typing import Any, Literal

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from hub.core.errors import (
    Conflict,
    FieldError,
    HubError,
    Invalid,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from hub.web.problems import fault_message, problem_of


@pytest.mark.parametrize("kind", [Invalid, TooLarge, Unauthenticated, NotFound, Conflict, Unavailable])
def test_an_error_of_the_hub_keeps_its_sentence_and_fields(kind: type[HubError]) -> None:
    problem, _ = problem_of(kind("A sentence.", fields=(FieldError("a.0", "is wrong"),)), "req_1")
    assert problem.model_dump() == {
        "type": f"/problems/{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": "A sentence.",
        "request_id": "req_1",
        "errors": [{"path": "a.0", "message": "is wrong"}],
    }


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (Unauthenticated("No key."), {"WWW-Authenticate": "Bearer"}),
        (Unavailable("Away."), {"Retry-After": "1"}),
        (TooLarge("Too much."), {"Connection": "close"}),
        (NotFound("Nothing."), {}),
        (HTTPException(405, headers={"Allow": "GET"}), {"Allow": "GET"}),
    ],
)
def test_headers_that_belong_to_a_status_are_there(error: Exception, header: dict[str, str]) -> None:
    assert problem_of(error)[1] == header


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT canary", {}, Exception("canary")),
        PoolTimeoutError("QueuePool limit canary"),
        IntegrityError("canary", {}, Exception("canary"), connection_invalidated=True),
    ],
)
def test_a_database_that_is_away_is_a_503_without_its_words(error: Exception) -> None:
    problem, headers = problem_of(error)
    assert (problem.status, headers["Retry-After"]) == (503, "1")
    assert "canary" not in problem.model_dump_json()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("canary"),
        KeyError("canary"),
        IntegrityError("canary", {"p": "canary"}, Exception("canary")),
    ],
)
def test_anything_else_is_an_internal_error_without_its_words(error: Exception) -> None:
    problem, _ = problem_of(error)
    assert (problem.status, problem.type) == (500, "/problems/internal_error")
    assert "canary" not in problem.model_dump_json()


@pytest.mark.parametrize(
    ("loc", "kind", "path", "message"),
    [
        (("body", "events", 3, "type"), "missing", "events.3.type", "is required"),
        (("body", "nmae"), "extra_forbidden", "nmae", "is not a known field"),
        (("body",), "missing", "", "is required"),
        (("query", "limit"), "int_parsing", "query.limit", "must be a whole number"),
        (("path", "key_id"), "x", "path.key_id", "canary"),
        (("header", "idempotency-key"), "x", "header.Idempotency-Key", "canary"),
    ],
)
def test_validation_faults_name_the_field_as_the_caller_wrote_it(
    loc: tuple[str | int, ...], kind: str, path: str, message: str
) -> None:
    problem, _ = problem_of(
        RequestValidationError([{"loc": loc, "type": kind, "msg": "Value error, canary"}])
    )
    assert problem.status == 422
    assert [(error.path, error.message) for error in problem.errors] == [(path, message)]


def test_a_value_that_was_sent_is_not_repeated() -> None:
    faults = [
        {
            "loc": ("body", "secret"),
            "type": "string_type",
            "msg": "Input should be a string",
            "input": "canary",
        }
    ]
    problem, _ = problem_of(RequestValidationError(faults))
    assert "canary" not in problem.model_dump_json()


def test_the_number_of_told_faults_is_capped() -> None:
    faults = [{"loc": ("body", index), "type": "missing", "msg": ""} for index in range(1000)]
    problem, _ = problem_of(RequestValidationError(faults))
    assert len(problem.errors) == 100
    assert "and 995 more" in problem.detail


class Part(BaseModel):
    number: int = 1


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(default="x", min_length=2, max_length=3)
    kind: Literal["a", "b"] = "a"
    number: int = 1
    share: float = Field(default=1.0, ge=1)
    on: bool = True
    some: list[int] = Field(default=[1], min_length=1)
    labels: dict[str, str] = {}
    part: Part | None = None


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", 1, "must be text"),
        ("name", "canary", "must have at most 3 characters"),
        ("kind", "canary", "must be 'a' or 'b'"),
        ("number", "canary", "must be a whole number"),
        ("number", 1.5, "must be a whole number"),
        ("share", [], "must be a number"),
        ("share", 0.5, "must be greater than or equal to 1"),
        ("on", "canary", "must be true or false"),
        ("some", "canary", "must be a list"),
        ("some", [], "must have at least 1 item, not 0"),
        ("labels", ["canary"], "must be an object"),
        ("part", "canary", "must be an object"),
        ("canary", 1, "is not a known field"),
    ],
)
def test_what_pydantic_says_becomes_a_sentence_about_the_field(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Form.model_validate({field: value})
    assert [fault_message(fault) for fault in caught.value.errors()] == [message]
