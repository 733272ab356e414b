"""Paths of requests: a template and its parameters, or one that the caller writes out.

Promises: a parameter fills exactly the hole it is meant for, and can neither add a segment nor leave the template; no
path leaves the base path.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from hub.core.errors import FieldError
from hub.integrations.transports.http.parameters import encodes, text_of

_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*")
_PATH_SAFE = "/%!$&'()*+,;=:@~"
_DOT_SEGMENT = re.compile(r"(?:^|[/\\])\.{1,2}(?:$|[/\\])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\?#]")
MAX_CHARACTERS = 4096


def template_faults(path: str) -> list[str]:
    """What is wrong with an operation's path template."""
    filled = _HOLE.sub("x", path)
    faults = []
    if len(path) > MAX_CHARACTERS:
        faults.append(f"must have at most {MAX_CHARACTERS} characters")
    if not _PATH.fullmatch(filled):
        faults.append("must start with / and have only URL path characters and {parameters}")
    if _DOT_SEGMENT.search(unquote(filled)):
        faults.append("must not have . or .. as a segment")
    names = _HOLE.findall(path)
    if len(names) != len(set(names)):
        faults.append("must not have a parameter twice")
    return faults


def free(path: Any, field: str, faults: list[FieldError]) -> str:
    """The encoded form of a path that the caller wrote out.

    Args:
        path: as given.
        field: where it stands, for errors.
        faults: gets what is wrong with it.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        faults.append(FieldError(field, "must be a text that starts with /"))
        return "/"
    if len(path) > MAX_CHARACTERS or _CONTROL.search(path) or _DOT_SEGMENT.search(unquote(path)):
        text = "must be a plain path: no query, fragment, backslash, control character, or . and .. segments"
        faults.append(FieldError(field, text))
        return "/"
    if not encodes(path):
        faults.append(FieldError(field, "is not valid Unicode"))
        return "/"
    return quote(path, safe=_PATH_SAFE)


def fill(template: str, given: Any, field: str, faults: list[FieldError]) -> str:
    """A template with its parameters.

    Args:
        template: without faults.
        given: values by parameter; None for none.
        field: where they stand, for errors.
        faults: gets what is wrong with them.
    """
    values = {} if given is None else given
    names = _holes(template)
    if not isinstance(values, dict):
        faults.append(FieldError(field, f"must be an object with {', '.join(names) or 'nothing'}"))
        return template
    if not names and not values:
        return template
    faults += [
        FieldError(f"{field}.{name}", "the path has no such parameter")
        for name in values
        if name not in names
    ]
    texts: dict[str, str] = {}
    for name in names:
        text = text_of(values.get(name))
        if text is None or not text:
            fault = (
                "is required: a text or a number"
                if name not in values
                else "must be a text or a number, not empty"
            )
            faults.append(FieldError(f"{field}.{name}", fault))
        elif _DOT_SEGMENT.search(text):
            faults.append(FieldError(f"{field}.{name}", "must not be or contain a . or .. segment"))
        elif not encodes(text):
            faults.append(FieldError(f"{field}.{name}", "is not valid Unicode"))
        else:
            texts[name] = quote(text, safe="")
    path = _HOLE.sub(lambda hole: texts.get(hole[1], "x"), template)
    # Some servers decode %2F before they split a path.
    if "." in path and _DOT_SEGMENT.search(unquote(path)):
        faults.append(FieldError(field, "the parameters together make a . or .. segment"))
    return path


@lru_cache(maxsize=4096)
def _holes(template: str) -> tuple[str, ...]:
    return tuple(_HOLE.findall(template))
