from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Invalid
from hub.web.paging import decode_cursor, encode_cursor, page_of

IDS = [UUID(int=number) for number in range(5, 0, -1)]


@given(st.uuids())
def test_a_cursor_gives_its_id_back(value: UUID) -> None:
    assert decode_cursor(encode_cursor(value)) == value


@pytest.mark.parametrize(
    "text", ["", "A", "nonsense", "\u00fc" * 22, "A" * 21, "A" * 23, "+" * 22, " " + "A" * 22]
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode_cursor(text)
    assert caught.value.fields[0].path == "query.cursor"


def test_another_spelling_of_the_same_bytes_is_refused() -> None:
    good = encode_cursor(UUID(int=0))
    assert good.endswith("A")
    with pytest.raises(Invalid):
        decode_cursor(good[:-1] + "B")  # the last digit's unused bits
    with pytest.raises(Invalid):
        decode_cursor(good + "==")


def test_the_extra_row_is_cut_off_and_leaves_a_cursor() -> None:
    rows, cursor = page_of(IDS, 4, lambda row: row)
    assert list(rows) == IDS[:4]
    assert cursor == encode_cursor(IDS[3])


def test_the_last_page_has_no_cursor() -> None:
    assert page_of(IDS, 5, lambda row: row) == (IDS, None)
    empty: list[UUID] = []
    assert page_of(empty, 5, lambda row: row) == ([], None)
