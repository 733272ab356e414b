"""Answers of what has versions: the version is the `ETag`. Apart from `etags`, which workers load without FastAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from fastapi.responses import JSONResponse

from hub.web.etags import etag_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class Versioned(Protocol):
    """What is shown of something that has versions: a model with `version`."""

    version: int

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """As JSON values."""
        ...


def answer_with_etag(
    shown: Versioned, status: int = 200, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An answer whose version is its `ETag`.

    Args:
        shown: the body.
        status: of the answer.
        headers: further ones.
    """
    return JSONResponse(
        shown.model_dump(mode="json"), status, {"ETag": etag_of(shown.version), **(headers or {})}
    )
