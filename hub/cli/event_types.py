"""`hub event-types`: list, show and import event types, and judge samples by them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.arguments import read_json
from hub.cli.connection import api
from hub.cli.output import as_json_option, page_options, show_json, show_page, show_record, show_rows

if TYPE_CHECKING:
    from hub.cli.output import Columns
    from hub.client.encoding import Json

_EXIT_INVALID = 1
_YAML = (".yaml", ".yml")
_COLUMNS: Columns = {
    "name": "name",
    "title": "title",
    "labels": lambda row: ", ".join(row["labels"]),
    "version": "current_version",
    "validation": "validation",
    "deprecated": "deprecated",
    "created": "created_at",
}


def _remarks(row: dict[str, Any]) -> str:
    said = [f"{one['path']}: {one['message']}" for one in row["errors"]]
    said += [f"{one['path']}: {one['change'].replace('_', ' ')}" for one in row["breaking_changes"]]
    return "; ".join(said)


_IMPORT_COLUMNS: Columns = {
    "webhook": "webhook",
    "event type": "name",
    "result": lambda row: row["result"].replace("_", " "),
    "version": "version",
    "remarks": _remarks,
}


@click.group("event-types")
def event_types() -> None:
    """List, show and import event types, and judge samples by them."""


@event_types.command("list")
@click.option("--label", "labels", multiple=True, help="Only those with this label; may be given again.")
@click.option("--archived", is_flag=True, help="The archived ones instead.")
@page_options
def list_(as_json: bool, **query: Any) -> None:
    """List event types, newest first."""
    with api() as hub:
        page = hub.list_event_types(**query)
    show_page(page, _COLUMNS, as_json=as_json)


@event_types.command()
@click.argument("name")
@click.option(
    "--version", type=click.IntRange(1), help="This version of its schema; the current one if not given."
)
@as_json_option
def show(name: str, version: int | None, as_json: bool) -> None:
    """Show an event type and its schema."""
    with api() as hub:
        found = hub.get_event_type(name) if version is None else hub.get_schema_version(name, version)
    if as_json:
        show_json(found)
        return
    show_record({key: value for key, value in found.items() if key not in {"schema", "example"}})
    click.echo(json.dumps(found["schema"], indent=2))


@event_types.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option(
    "--validation",
    type=click.Choice(["off", "warn", "enforce"]),
    default="off",
    show_default=True,
    help="Of the event types that are made.",
)
@as_json_option
def import_(file: Path, dry_run: bool, validation: str, as_json: bool) -> None:
    """Import the `webhooks` of an OpenAPI 3.1 document: JSON, or YAML where PyYAML is installed.

    Exit code 1 when one of them was refused; the others are taken all the same.
    """
    document = _read(file)
    with api() as hub:
        report = hub.import_event_types(document, dry_run=dry_run, validation=validation)
    if as_json:
        show_json(report)
    else:
        show_rows(report["data"], _IMPORT_COLUMNS)
        if dry_run:
            click.echo("This was a dry run: nothing was written.", err=True)
    if any(row["result"] == "refused" for row in report["data"]):
        raise SystemExit(_EXIT_INVALID)


@event_types.command()
@click.argument("name")
@click.argument("data", callback=read_json)
@click.option("--version", type=click.IntRange(1), help="By this version; the current one if not given.")
@as_json_option
def validate(name: str, data: Json, version: int | None, as_json: bool) -> None:
    """Judge DATA by the schema of an event type: JSON, `@file`, or `-` for standard input.

    Exit code 1 when it does not fit. Nothing is published.
    """
    with api() as hub:
        verdict = hub.validate_event(name, data, version=version)
    if as_json:
        show_json(verdict)
    else:
        click.echo(f"{name} version {verdict['version']}: {'fits' if verdict['valid'] else 'does not fit'}")
        for error in verdict["errors"]:
            click.echo(f"  {error['path']}: {error['message']}")
    if not verdict["valid"]:
        raise SystemExit(_EXIT_INVALID)


def _read(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix.lower() in _YAML:
            return _read_yaml(text)
        return json.loads(text)
    except UnicodeDecodeError:
        raise click.ClickException(f"{file} is not UTF-8 text.") from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{file} cannot be read: {error}.") from None


def _read_yaml(text: str) -> Any:
    try:
        # Not a dependency: only those who import YAML need it.
        yaml = import_module("yaml")
    except ModuleNotFoundError:
        raise click.ClickException(
            "YAML needs PyYAML, which is not installed: `pip install pyyaml`, or give the document as JSON."
        ) from None
    try:
        # Through JSON: YAML has dates and other values that JSON has not.
        return json.loads(json.dumps(yaml.safe_load(text), default=str))
    except yaml.YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from None
