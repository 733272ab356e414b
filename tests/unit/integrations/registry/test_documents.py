from __future__ import annotations

from typing import Any

import pytest

from hub.integrations.registry.documents import changes_to, differences


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, 1.0),
        ([1, {"a": 2}], [1.0, {"a": 2.0}]),
        ({"a": None}, {"a": None}),
        ("a", "a"),
        (None, None),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
    ],
    ids=str,
)
def test_what_json_calls_equal_does_not_differ(before: Any, after: Any) -> None:
    assert differences(before, after, "x") == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, True),
        (0, False),
        ([1], [True]),
        ([{"a": 1}], [{"a": True}]),
        ("1", 1),
        (None, False),
        ([], {}),
        ([1, 2], [2, 1]),
    ],
    ids=str,
)
def test_what_json_tells_apart_differs(before: Any, after: Any) -> None:
    assert differences(before, after, "x") == [{"path": "x", "before": before, "after": after}]


def test_every_place_is_named_and_lists_are_one_value() -> None:
    before = {"a": 1, "b": {"c": [1], "d": 2}, "gone": {"x": 1}, "null": None}
    after = {"a": 2, "b": {"c": [1, 2], "d": 2}, "new": 3}
    assert differences(before, after) == [
        {"path": "a", "before": 1, "after": 2},
        {"path": "b.c", "before": [1], "after": [1, 2]},
        {"path": "gone", "before": {"x": 1}, "after": None},
        {"path": "new", "before": None, "after": 3},
        {"path": "null", "before": None, "after": None},
    ]


def test_changes_are_whole_fields_and_never_what_is_fixed() -> None:
    present = {"type": "api", "tags": ["a"], "quota": {"calls_per_day": None}, "name": "x"}
    wanted = {"type": "webhook", "tags": ["a"], "quota": {"calls_per_day": 5}, "name": "y"}
    assert changes_to(present, wanted) == {"quota": {"calls_per_day": 5}, "name": "y"}
