from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hub.core.errors import Invalid
from hub.transforms import Sandbox, preview

SAMPLE: dict[str, Any] = {"type": "order.paid", "data": {"id": 7, "total": "12"}}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(timeout=30) as made:
        yield made


def test_each_step_is_shown(sandbox: Sandbox) -> None:
    told = preview(
        {"data.id": {"$gt": 5}},
        [{"jsonata": '{"n": $number(data.total)}'}, {"set_header": {"X-N": "{{ n }}"}}, {"set": {"a": 1}}],
        SAMPLE,
        sandbox,
    )
    assert told == {
        "matches": True,
        "conditions": [
            {"at": "filter.data.id.$gt", "path": "data.id", "operator": "$gt", "expected": 5, "found": (7,), "held": True}
        ],
        "steps": [
            {"index": 0, "step": "jsonata", "document": {"n": 12}},
            {"index": 1, "step": "set_header", "document": {"n": 12}},
            {"index": 2, "step": "set", "document": {"n": 12, "a": 1}},
        ],
        "outcome": "transformed",
        "document": {"n": 12, "a": 1},
        "headers": {"X-N": "12"},
        "index": None,
        "reason": None,
        "would_send": True,
    }  # fmt: skip


def test_steps_are_tried_although_the_filter_does_not_match() -> None:
    told = preview({"data.id": 8}, [{"pick": ["type"]}], SAMPLE, None)
    assert (told["matches"], told["outcome"], told["would_send"]) == (False, "transformed", False)
    assert told["document"] == {"type": "order.paid"}


def test_nothing_to_do_sends_the_sample() -> None:
    told = preview(None, None, SAMPLE, None)
    assert told["would_send"]
    assert told["document"] == SAMPLE


def test_a_failing_step_is_named() -> None:
    told = preview(None, [{"set": {"x": 1}}, {"lower": ["data.id"]}, {"set": {"y": 1}}], SAMPLE, None)
    assert (told["outcome"], told["index"], told["document"], told["headers"]) == ("failed", 1, None, {})
    assert told["reason"] == "at `data.id` a number is there, not text"
    assert [step["index"] for step in told["steps"]] == [0]
    assert not told["would_send"]


def test_a_cancelling_step_is_named() -> None:
    told = preview(None, [{"cancel_if": {"data.id": 7}}], SAMPLE, None)
    assert (told["outcome"], told["index"], told["would_send"]) == ("cancelled", 0, False)


def test_a_failing_expression_is_named(sandbox: Sandbox) -> None:
    told = preview(None, [{"jmespath": "sum(data)"}, {"set": {"x": 1}}], SAMPLE, sandbox)
    assert (told["outcome"], told["index"]) == ("failed", 0)
    assert told["reason"] == "the expression: the function sum() was given what it cannot take"


def test_an_expression_that_cannot_be_read_is_a_fault_of_its_place(sandbox: Sandbox) -> None:
    with pytest.raises(Invalid) as caught:
        preview(None, [{"set": {"x": 1}}, {"jmespath": "a["}, {"jsonata": "$f("}], SAMPLE, sandbox)
    assert [fault.path for fault in caught.value.fields] == [
        "transformations[1].jmespath",
        "transformations[2].jsonata",
    ]


def test_large_documents_between_the_steps_are_left_out() -> None:
    sample = {"a": "x" * 300_000}
    told = preview(None, [{"omit": ["b"]}] * 5, sample, None)
    assert ["document" in step for step in told["steps"]] == [True, True, True, False, False]
    assert told["steps"][4] == {"index": 4, "step": "omit", "document_omitted": True}
    assert told["document"] == sample
