from __future__ import annotations

from typing import Any

import pytest

from hub.core.errors import Invalid
from hub.integrations.pipeline.masking import compile_masks, is_masked, mask


def masked(document: Any, *paths: str) -> Any:
    masks = compile_masks(list(paths))
    return mask(document, masks.input + masks.data)


def test_values_at_paths_are_masked_whatever_they_are() -> None:
    given = {"a": {"b": {"deep": 1}, "c": None}, "list": [{"n": 1}, {"m": 2}, 3], "k": [[1, 2]]}
    assert masked(given, "input.a.b", "input.a.c", "data.list.n", "data.list.1.m", "input.none.x", "data.k") == {
        "a": {"b": "***", "c": "***"}, "list": [{"n": "***"}, {"m": "***"}, 3], "k": "***",
    }  # fmt: skip
    # The given document is never touched.
    assert given["a"] == {"b": {"deep": 1}, "c": None}


def test_what_was_masked_is_recognised() -> None:
    assert is_masked("***")
    assert is_masked({"a": [{"b": "***"}]})
    assert not is_masked({"a": ["****", "**", None, 3, {"***": 1}]})
    deep: Any = "***"
    for _ in range(100_000):
        deep = [deep]
    assert is_masked(deep)


def test_paths_begin_with_input_or_data() -> None:
    with pytest.raises(Invalid) as caught:
        compile_masks(["body.card", "input", "data.", 7, "data.ok"], field="data_policy.redact")
    assert [fault.path for fault in caught.value.fields] == [f"data_policy.redact[{n}]" for n in range(4)]
