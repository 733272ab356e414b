"""Paths below the base directory: templates, parameters, and what no path may have.

Promises: what comes out is a relative path of plain segments, so that no server can read more than one thing into it:
no `.` or `..`, no slash at either end, no backslash, no NUL or other control character. Leaves to others: links on the
server (`sftp` resolves them), and quoting.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARACTERS = 1024
_MAX_SEGMENT_BYTES = 255
_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,62})(:path)?\}")
_BAD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\]")


def template_faults(template: str) -> list[str]:
    """What is wrong with an operation's path."""
    names = [name for name, _ in _HOLE.findall(template)]
    faults = [] if len(names) == len(set(names)) else ["must not have a parameter twice"]
    rest = _HOLE.sub("x", template)
    if "{" in rest or "}" in rest:
        faults.append("has a brace that belongs to no {parameter}")
    return faults + (path_faults(rest) if rest else [])


def names_of(template: str) -> list[str]:
    """The parameters of a template."""
    return [name for name, _ in _HOLE.findall(template)]


def path_faults(path: str) -> list[str]:
    """What is wrong with a relative path."""
    if _BAD.search(path):
        return ["must not have control characters or backslashes"]
    try:
        sizes = [len(segment.encode()) for segment in path.split("/")]
    except UnicodeEncodeError:
        return ["must be valid Unicode"]
    faults = []
    if len(path) > MAX_CHARACTERS or max(sizes) > _MAX_SEGMENT_BYTES:
        faults.append(
            f"must have at most {MAX_CHARACTERS} characters, {_MAX_SEGMENT_BYTES} bytes between slashes"
        )
    if path.startswith("/"):
        faults.append("must not begin with /; it is below the base directory")
    elif 0 in sizes:
        faults.append("must not have an empty segment, nor / at its end")
    if {".", ".."} & set(path.split("/")):
        faults.append("must not have . or .. as a segment")
    return faults


def fill(template: str, values: Mapping[str, Any], at: str) -> tuple[str, list[FieldError]]:
    """A template with its parameters.

    Args:
        template: without faults.
        values: of its parameters, and perhaps of others.
        at: where they stand, for errors.
    """
    faults: list[FieldError] = []
    texts: dict[str, str] = {}
    for name, several in _HOLE.findall(template):
        value = values.get(name)
        text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
        if not text:
            fault = (
                "is required: a text or a whole number"
                if value is None
                else "must be a text or a whole number"
            )
            faults.append(FieldError(f"{at}.{name}", fault))
            continue
        found = path_faults(text)
        if "/" in text and not several:
            found = ["must not have a slash: it is one segment"]
        faults += [FieldError(f"{at}.{name}", fault) for fault in found]
        texts[name] = text
    if faults:
        return "", faults
    path = _HOLE.sub(lambda hole: texts[hole[1]], template)
    # Two parameters in one segment may make `..` together.
    return path, [FieldError(at, fault) for fault in (path_faults(path) if path else [])]
