"""`hub config`: every setting, its value without secrets, and where it comes from."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import click
from pydantic import SecretStr

from hub.cli.output import as_json_option, show_json, show_table
from hub.core.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

# Only what is surely no secret matches: one @ at most, and that before the host; no query.
_URL = re.compile(r"(?P<scheme>[a-z+]+)://(?:[^/?#@]*@)?(?P<rest>[^@?#]*)(?:[?#][^@]*)?")


@click.command()
@as_json_option
def config(as_json: bool) -> None:
    """Show every setting, with secrets hidden. Exit code 78 and a sentence when one is wrong."""
    rows = describe(load_settings(), os.environ)
    if as_json:
        show_json(rows)
    else:
        show_table(("setting", "value", "from", "what it is"), [list(row.values()) for row in rows])


def describe(settings: Settings, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """One entry for each setting: `name`, `value`, `source` (`env`, `file`, `default`), `description`.

    Args:
        settings: what was read.
        environ: what it was read from.
    """
    return [
        {
            "name": (name := f"HUB_{field.upper()}"),
            "value": redact(field, getattr(settings, field)),
            "source": "env" if environ.get(name) else "file" if environ.get(f"{name}_FILE") else "default",
            "description": info.description or "",
        }
        for field, info in Settings.model_fields.items()
    ]


def redact(field: str, value: Any) -> Any:
    """A setting's value as it may be shown: of a secret URL the scheme and the place, of other secrets `***`.

    Args:
        field: the setting's name.
        value: what it holds.
    """
    if isinstance(value, SecretStr):
        match = _URL.fullmatch(value.get_secret_value()) if field.endswith("_url") else None
        return f"{match['scheme']}://{match['rest']}" if match else "***"
    if isinstance(value, tuple):
        return [redact(field, one) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
