"""Cursor pagination: newest first, by id. Stable while rows are added; a page costs the same wherever it is.

A list route takes `paging: Paging`; its store fetches `paging.limit + 1` rows (`ORDER BY id DESC`, and
`id < paging.before` when that is set); `page_of` cuts the extra row off and makes the cursor.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, Protocol, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from hub.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_LIMIT = 250

T = TypeVar("T")
R = TypeVar("R", bound="HasId")


class HasId(Protocol):
    """A row."""

    @property
    def id(self) -> Any:
        """Its uuid."""
        ...


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
        before: the id of the last row that was seen; older rows are wanted. None: the newest ones.
    """

    limit: int
    before: UUID | None


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


def page_of(rows: Sequence[R], limit: int, show: Callable[[R], T]) -> Page[T]:
    """Make a page from up to `limit + 1` rows: the one too many tells that there is another page.

    Args:
        rows: newest first; each has its uuid as `id`.
        limit: rows that the caller asked for.
        show: makes what the caller sees of a row.
    """
    page = rows[:limit]
    more = len(rows) > limit
    return Page(data=[show(row) for row in page], next_cursor=encode_cursor(page[-1].id) if more else None)


def _page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows at most.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=64, description="`next_cursor` of the page before.")
    ] = None,
) -> PageRequest:
    return PageRequest(limit, None if cursor is None else decode_cursor(cursor))


#: Parameter of a list route: `paging: Paging`.
Paging = Annotated[PageRequest, Depends(_page_request)]
