"""The first message of a session, filled in from the credentials.

Promises: what is filled in stands as a whole value inside of JSON, never as syntax; nothing of it is in an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError
from hub.transforms.measure import OverCapError, measure
from hub.transforms.template import BadTemplateError, NotFilledError, parse_template

if TYPE_CHECKING:
    from hub.integrations.auth.mode import Credentials

MAX_BYTES = 16_384
MAX_DEPTH = 10
# Before the names of secrets that the user chose.
_NAMED = "secrets."


class NotKnownError(Exception):
    """The message names a field that the credentials do not have; the text is a sentence without secrets."""


def template_faults(message: Any, at: str) -> list[FieldError]:
    """What is wrong with a login message as a person wrote it."""
    if not isinstance(message, (str, dict, list)) or not message:
        return [FieldError(at, 'must be a text or an object such as {"op": "auth", "token": "{{ token }}"}')]
    try:
        measure(message, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    except OverCapError as error:
        return [FieldError(at, str(error))]
    faults: list[FieldError] = []
    for place, text in _texts(message, at):
        try:
            parse_template(text)
        except BadTemplateError as error:
            faults.append(FieldError(place, str(error)))
    return faults


def filled(message: Any, credentials: Credentials) -> Any:
    """The message as it is sent; holds secrets.

    Raises:
        NotKnownError: the credentials lack a field that it names.
    """
    document = {
        **credentials.parameters,
        **{name.removeprefix(_NAMED): secret.reveal() for name, secret in credentials.secrets.items()},
    }
    try:
        return _fill(message, document)
    except NotFilledError:
        known = ", ".join(sorted(document)) or "none"
        raise NotKnownError(
            f"The login message names a field that credentials of the mode `{credentials.mode}` do not have "
            f"(they have: {known})."
        ) from None


def _fill(value: Any, document: dict[str, Any]) -> Any:
    if isinstance(value, str):
        return parse_template(value).value(document, _any_size)
    if isinstance(value, dict):
        return {key: _fill(inner, document) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, document) for inner in value]
    return value


def _any_size(value: Any) -> None:
    """Secrets are capped where they are saved."""


def _texts(value: Any, at: str) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(at, value)]
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in _texts(inner, f"{at}.{key}")]
    if isinstance(value, list):
        return [found for index, inner in enumerate(value) for found in _texts(inner, f"{at}.{index}")]
    return []
