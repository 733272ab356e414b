from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from hub.integrations.executions.portions import portions, size_of
from hub.integrations.executions.store import NewExecution

ID = UUID(int=1)


def row(text: str, mapping: str | None = None) -> NewExecution:
    return NewExecution(
        ID, ID, "do", text, mapping=None if mapping is None else msgspec.Raw(mapping.encode())
    )


def test_a_row_is_as_large_as_its_input_and_its_mapping_in_bytes() -> None:
    assert size_of(row('"abc"')) == 5
    assert size_of(row('"äö"', "[{}]")) == 6 + 4


@pytest.mark.parametrize(
    ("sizes", "cut"),
    [
        ([], []),
        ([3], [1]),
        ([30], [1]),
        ([5, 5], [2]),
        ([5, 6], [1, 1]),
        ([30, 1, 30], [1, 1, 1]),
        ([4, 4, 4, 4, 4], [2, 2, 1]),
    ],
    ids=str,
)
def test_rows_are_cut_by_bytes_and_none_is_lost(sizes: list[int], cut: list[int]) -> None:
    rows = [row("x" * size) for size in sizes]
    made = list(portions(rows, 10))
    assert [len(one) for one in made] == cut
    assert [one for portion in made for one in portion] == rows
