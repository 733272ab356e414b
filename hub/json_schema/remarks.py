"""Keywords that say something to readers and check nothing (JSON Schema 2020-12 validation, sections 8 and 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.json_schema.place import Keyword, Place


def _remark(keyword: str, kind: type, words: str) -> Keyword:
    def read(value: Any, place: Place) -> None:
        if not isinstance(value, kind):
            place.fault(f"must be {words}", keyword)

    return read


REMARKS: dict[str, Keyword] = {
    **{
        name: _remark(name, str, "a string")
        for name in ("$comment", "title", "description", "contentEncoding", "contentMediaType")
    },
    **{name: _remark(name, bool, "true or false") for name in ("deprecated", "readOnly", "writeOnly")},
    "examples": _remark("examples", list, "a list"),
    "$vocabulary": _remark("$vocabulary", dict, "an object"),
}
