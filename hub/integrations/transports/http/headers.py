"""Headers of a definition and of an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid
from hub.core.headers import is_credential, is_refused, is_token
from hub.net.headers import check_headers

if TYPE_CHECKING:
    from collections.abc import Mapping


def header_faults(headers: Mapping[str, str], field: str) -> list[FieldError]:
    """What is wrong with headers; credentials are, since an input or a definition is stored and shown as it is.

    Args:
        headers: to judge.
        field: where they stand, for errors.
    """
    faults = [
        FieldError(f"{field}.{name}", "credentials belong into `auth`, where they are encrypted")
        for name in headers
        if is_credential(name)
    ]
    try:
        check_headers(headers, field)
    except Invalid as error:
        faults.extend(error.fields)
    return faults


def key_faults(name: str, field: str) -> list[FieldError]:
    """What is wrong with the name of the header that takes an idempotency key.

    Args:
        name: empty when there is none.
        field: where it stands.
    """
    if name and (not is_token(name) or is_refused(name) or is_credential(name)):
        return [FieldError(field, "must be a header name that a request may carry")]
    return []


def add_key(headers: dict[str, str], name: str, key: str) -> None:
    """Send an idempotency key, unless the request has one of its own.

    Args:
        headers: of the request; gets it.
        name: of the header that takes it; empty when there is none.
        key: empty when there is none.
    """
    if name and key and lookup(headers, name.lower()) is None:
        headers[name] = key


def merge(
    base: Mapping[str, str],
    defaults: Mapping[str, str],
    given: Mapping[str, Any],
    field: str,
    faults: list[FieldError],
) -> dict[str, str]:
    """One set of headers, the more special one winning whatever the case of its name.

    Args:
        base: the integration's.
        defaults: the operation's.
        given: the input's.
        field: where the input's stand, for errors.
        faults: gets what is wrong with the input's.
    """
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    faults += [FieldError(f"{field}.{name}", "must be a text") for name in given if name not in texts]
    if texts:
        faults += header_faults(texts, field)
    merged: dict[str, tuple[str, str]] = {}
    for group in (base, defaults, texts):
        for name, value in group.items():
            merged[name.lower()] = (name, value)
    return dict(merged.values())


def lookup(headers: Mapping[str, str], name: str) -> str | None:
    """The value of a header, whatever the case of its name.

    Args:
        headers: to look in.
        name: in lower case.
    """
    return next((value for given, value in headers.items() if given.lower() == name), None)
