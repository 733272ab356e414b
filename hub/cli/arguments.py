"""Arguments that commands share: JSON as text, from a file or from standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from hub.client.encoding import Json


def read_json(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Json | None:
    """A click callback: JSON given as text, as `@file`, or as `-` for standard input; kept byte for byte.

    Raises:
        click.BadParameter: it is none, or cannot be read.
    """
    if value is None:
        return None
    text = _text(value).strip()
    try:
        json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}") from None
    except RecursionError:
        raise click.BadParameter("nested too deeply") from None
    return Json(text)


def read_object(ctx: click.Context, param: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """A click callback: a JSON object, given likewise; None when it is not given.

    Raises:
        click.BadParameter: it is none, or cannot be read.
    """
    text = read_json(ctx, param, value)
    given = None if text is None else json.loads(text)
    if given is not None and not isinstance(given, dict):
        raise click.BadParameter("must be a JSON object")
    return given


def _text(value: str) -> str:
    try:
        if value == "-":
            return sys.stdin.buffer.read().decode()
        return Path(value[1:]).read_text(encoding="utf-8") if value.startswith("@") else value
    except UnicodeDecodeError:
        raise click.BadParameter("not UTF-8 text") from None
    except OSError as error:
        raise click.BadParameter(f"{value[1:]} cannot be read: {error.strerror}") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
