"""Which request headers a user may set.

Promises: a header that passes cannot split the request, change its framing or its target, or pose as one of the
headers that the hub writes itself (see `hub.core.headers`). Leaves to others: headers that only carry meaning for
the receiver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.core.errors import FieldError, Invalid
from hub.core.headers import MAX_VALUE_CHARACTERS, is_refused, is_token, is_value

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_COUNT = 50


def check_headers(headers: Mapping[str, str], path_prefix: str = "headers") -> None:
    """Refuse headers that a user may not set.

    Args:
        headers: name to value, as given.
        path_prefix: where they stand in the input; a fault is at `<path_prefix>.<name>`.

    Raises:
        Invalid: with one field for every fault, not only the first. Values are never repeated: they may be
            secrets.
    """
    faults: list[FieldError] = []
    if len(headers) > MAX_COUNT:
        faults.append(FieldError(path_prefix, f"at most {MAX_COUNT} headers, not {len(headers)}"))
    seen: set[str] = set()
    for name, value in headers.items():
        shown = name if is_token(name) else ascii(name[:40])
        faults.extend(FieldError(f"{path_prefix}.{shown}", text) for text in _faults(name, value))
        if name.lower() in seen:
            faults.append(
                FieldError(f"{path_prefix}.{shown}", "given twice; names ignore upper and lower case")
            )
        seen.add(name.lower())
    if faults:
        raise Invalid.of(faults)


def _faults(name: str, value: str) -> list[str]:
    faults = []
    if not is_token(name):
        faults.append("a name has only letters, digits and !#$%&'*+-.^_`|~")
    elif is_refused(name):
        faults.append("this header is set by the hub and cannot be given")
    if not is_value(value):
        faults.append("a value has only printable ASCII characters, spaces and tabs")
    if len(value) > MAX_VALUE_CHARACTERS:
        faults.append(f"a value has at most {MAX_VALUE_CHARACTERS} characters")
    return faults
