"""Secrets in files of definitions: `${NAME}` is read from the environment, in secret fields and nowhere else. Pure.

`$${` stands for `${` itself. What is written instead of the variables never goes into an error or onto the screen.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hub.cli.definition_files import Definition

_PLACE = re.compile(r"\$\$\{|\$\{(?P<name>[^}]*)(?P<end>\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MASK = "***"


def filled(
    definitions: Sequence[Definition], environ: Mapping[str, str], *, keep: bool
) -> list[dict[str, Any]]:
    """The definitions with their secrets in them, ready to be sent.

    Args:
        definitions: as they were read.
        environ: the variables.
        keep: a secret whose variable is not set stays as it is stored.

    Raises:
        Invalid: with a field for every variable that is not set, and every `${` that names none.
    """
    faults: list[FieldError] = []
    found = [_filled(one, environ, faults, keep=keep) for one in definitions]
    if faults:
        raise Invalid("Nothing was sent: secrets are missing.", fields=tuple(faults))
    return found


def shown(definition: Definition) -> dict[str, Any]:
    """A definition as it may be shown: its variables by name, and secrets that it has itself masked."""
    value: dict[str, Any] = _copy(definition.value)
    for holder, name, _ in _secrets(value):
        if isinstance(holder[name], str) and not _is_variable(holder[name]):
            holder[name] = _MASK
    return value


def _filled(
    definition: Definition, environ: Mapping[str, str], faults: list[FieldError], *, keep: bool
) -> dict[str, Any]:
    value: dict[str, Any] = _copy(definition.value)
    for holder, name, path in _secrets(value):
        text = holder[name]
        if not isinstance(text, str):
            continue
        missing = [one for one in _variables(text) if not environ.get(one)]
        wrong = [match[0] for match in _PLACE.finditer(text) if not _is_right(match)]
        if keep and missing and not wrong:
            if holder is value.get("auth") or holder is value.get("tls"):
                # What is left out stays; a null would take away one that the mode can do without.
                del holder[name]
            else:
                # One that a person named: without its name it would be gone.
                holder[name] = None
            continue
        at = f"{definition.where(path)}: {path}"
        if wrong:
            faults.append(FieldError(at, "`${` begins a variable, `${NAME}`; write `$${` for itself"))
        faults += [
            FieldError(at, f"the variable {one} is {'empty' if one in environ else 'not set'}")
            for one in missing
        ]
        if not (missing or wrong):
            holder[name] = _PLACE.sub(lambda match: environ[match["name"]] if match["name"] else "${", text)
    return value


def _secrets(value: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """The secret fields that are there: what holds them, their names, their paths."""
    from hub.integrations.auth.registry import MODES  # noqa: PLC0415 - half a second, for two commands

    auth, tls = value.get("auth"), value.get("tls")
    if isinstance(auth, dict) and (mode := MODES.get(str(auth.get("mode")))) is not None:
        for name in (*mode.secrets, *mode.optional_secrets):
            if name in auth:
                yield auth, name, f"auth.{name}"
        named = None if mode.dynamic is None else auth.get(mode.dynamic)
        if isinstance(named, dict):
            for name in named:
                yield named, name, f"auth.{mode.dynamic}.{name}"
    if isinstance(tls, dict) and "key" in tls:
        yield tls, "key", "tls.key"


def _variables(text: str) -> list[str]:
    return [match["name"] for match in _PLACE.finditer(text) if match["name"] and _is_right(match)]


def _is_right(match: re.Match[str]) -> bool:
    return match[0] == "$${" or bool(match["end"] and _NAME.fullmatch(match["name"]))


def _is_variable(text: str) -> bool:
    match = _PLACE.fullmatch(text)
    return match is not None and bool(match["name"]) and _is_right(match)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(one) for name, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list) else value
