"""Cursor pagination: newest first, by id. Stable while rows are added; a page costs the same wherever it is.

A list route takes `paging: Paging`; its store fetches `paging.fetch` rows (`ORDER BY id DESC`, and
`id < paging.after` when that is set); `page_of` cuts the extra row off and makes the cursor.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from hub.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_LIMIT = 250

T = TypeVar("T")
R = TypeVar("R")


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    data: list[T]
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the next page; null on the last one.",
        examples=["AZk_DJx6ezqNDm8KGyw9Tg"],
    )


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What page is asked for.

    Args:
        limit: rows at most.
        after: the id of the last row of the page before; None is the first page.
    """

    limit: int
    after: UUID | None

    @property
    def fetch(self) -> int:
        """Rows to ask the database for: one more than the page holds tells whether there is another one."""
        return self.limit + 1


def encode_cursor(last: UUID) -> str:
    """The cursor after a row."""
    return base64.urlsafe_b64encode(last.bytes).rstrip(b"=").decode()


def decode_cursor(text: str) -> UUID:
    """The id inside a cursor.

    Raises:
        Invalid: it is not one that `encode_cursor` made.
    """
    try:
        value = UUID(bytes=base64.b64decode(text + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        value = None
    # Base64 has several spellings of the same bytes; only ours is a cursor.
    if value is None or encode_cursor(value) != text:
        message = "is not a cursor of this list: send a `next_cursor` as it was received"
        raise Invalid(f"cursor {message}.", fields=(FieldError("query.cursor", message),))
    return value


def page_of(rows: Sequence[R], limit: int, key: Callable[[R], UUID]) -> tuple[Sequence[R], str | None]:
    """Cut a page from up to `limit + 1` rows.

    Args:
        rows: newest first.
        limit: rows that the caller asked for.
        key: a row's id.

    Returns:
        The rows of the page, and the cursor of the next page if there is one.
    """
    if len(rows) <= limit:
        return rows, None
    page = rows[:limit]
    return page, encode_cursor(key(page[-1]))


def _page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows at most.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=64, description="`next_cursor` of the page before.")
    ] = None,
) -> PageRequest:
    return PageRequest(limit, None if cursor is None else decode_cursor(cursor))


#: Parameter of a list route: `paging: Paging`.
Paging = Annotated[PageRequest, Depends(_page_request)]
