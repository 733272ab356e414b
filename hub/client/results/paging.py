"""A page of a list."""

from __future__ import annotations

from typing import Generic, TypedDict, TypeVar

T = TypeVar("T")


class Page(TypedDict, Generic[T]):
    """One page of a list, newest first."""

    data: list[T]
    next_cursor: str | None
