"""How a command says that something is wrong: one sentence on standard error, then the fields at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hub.core.logging import mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.core.errors import FieldError, HubError

_MAX_FIELDS = 20


def tell(error: HubError) -> None:
    """Print an error: its sentence, then the fields at fault that the sentence does not name."""
    click.echo(f"hub: {error.detail}", err=True)
    for field in missing_fields(error.detail, error.fields)[:_MAX_FIELDS]:
        click.echo(f"  {field.path or 'the input'}: {field.message}", err=True)


def missing_fields(sentence: str, fields: Sequence[FieldError]) -> list[FieldError]:
    """The faults that a sentence leaves out."""
    return [field for field in fields if field.message not in sentence]


def sentence_of(error: Exception) -> str:
    """An error that no command expected, in one line without secrets."""
    origin = getattr(error, "orig", None)  # SQLAlchemy: the driver's own words, without the statement
    said = str(error if origin is None else origin).strip().splitlines()
    who = type(error).__name__ if origin is None else "The database said"
    return mask(f"{who}: {said[0] if said else 'no explanation'}")
