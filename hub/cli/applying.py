"""`hub integrations apply`: definitions in files become those of the hub."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.changes import show_changes, show_line
from hub.cli.connection import Refused, api
from hub.cli.definition_files import read_definitions
from hub.cli.definition_secrets import filled, shown
from hub.cli.failures import tell
from hub.cli.output import as_json_option, show_json
from hub.client import HubApiError
from hub.core.errors import ConfigError, FieldError, HubError, Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.cli.definition_files import Definition
    from hub.client.http import HttpClient
    from hub.client.results import Applied, AppliedAll

#: With `--exit-code`, as of diff and its kin.
_WOULD_CHANGE = 1
_FAILED = 2
_SIGNS = {"create": "+", "update": "~"}
_DONE = {"create": "created", "update": "changed", "none": "unchanged"}
_AT = "integrations."


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option(
    "--exit-code",
    is_flag=True,
    help="With --dry-run: exit 1 if something would change, 2 or more if it failed.",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option(
    "--keep-secrets", is_flag=True, help="A secret whose variable is not set stays as it is stored."
)
@as_json_option
def apply(
    files: tuple[str, ...], dry_run: bool, exit_code: bool, yes: bool, keep_secrets: bool, as_json: bool
) -> None:
    """Make integrations as FILEs declare them: all of them, or none. Doing it again changes nothing.

    A FILE (- for standard input) is YAML or JSON: a definition, several between `---`, or a list under `integrations`.
    `${NAME}` in a secret field is read from the environment; `$${` stands for `${`. Integrations that no FILE names
    stay as they are.
    """
    if exit_code and not dry_run:
        raise click.UsageError("--exit-code goes with --dry-run.")
    if not (dry_run or yes) and (as_json or "-" in files or not sys.stdin.isatty()):
        raise click.UsageError("There is nobody to ask: add --yes, or --dry-run to look first.")
    try:
        found = _apply(files, dry_run=dry_run, yes=yes, keep_secrets=keep_secrets, as_json=as_json)
    except ConfigError:
        raise
    except HubError as error:
        if not exit_code:
            raise
        tell(error)
        raise click.exceptions.Exit(_FAILED) from None
    if as_json:
        show_json(found)
    if exit_code and any(one["action"] != "none" for one in found["data"]):
        raise click.exceptions.Exit(_WOULD_CHANGE)


def _apply(
    files: Sequence[str], *, dry_run: bool, yes: bool, keep_secrets: bool, as_json: bool
) -> AppliedAll:
    definitions = [one for name in files for one in _read(name)]
    documents = filled(definitions, os.environ, keep=keep_secrets)
    with api() as hub:
        plan = _send(hub, definitions, documents, dry_run=True)
        if not as_json:
            for definition, one in zip(definitions, plan["data"], strict=True):
                _show(definition, one)
        if dry_run or all(one["action"] == "none" for one in plan["data"]):
            if not as_json:
                _sum_up(plan)
            return plan
        if not yes:
            click.confirm("Apply this?", abort=True, err=True)
        done = _send(hub, definitions, documents, dry_run=False)
        if not as_json:
            _sum_up(done)
        return done


def _read(name: str) -> list[Definition]:
    source = "standard input" if name == "-" else name
    try:
        text = sys.stdin.buffer.read().decode() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{source} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Invalid(f"{source} is not UTF-8 text.") from None
    return read_definitions(text.removeprefix("\ufeff"), source)


def _send(
    hub: HttpClient, definitions: Sequence[Definition], documents: list[dict[str, Any]], *, dry_run: bool
) -> AppliedAll:
    """Ask the hub; its faults are told at their places in the files."""
    try:
        return hub.apply_integrations(documents, dry_run=dry_run)
    except HubApiError as error:
        fields = tuple(_fault(definitions, one.path, one.message) for one in error.errors)
        if not fields or error.status not in {400, 422}:
            raise
        several = "One fault" if len(fields) == 1 else f"{len(fields)} faults"
        raise Refused(f"{several}; nothing was changed.", fields=fields) from None


def _fault(definitions: Sequence[Definition], path: str, message: str) -> FieldError:
    index, _, rest = path.removeprefix(_AT).partition(".")
    if not path.startswith(_AT) or not index.isdecimal() or int(index) >= len(definitions):
        return FieldError(path, message)
    definition = definitions[int(index)]
    return FieldError(f"{definition.where(rest)}: {rest}" if rest else definition.where(rest), message)


def _show(definition: Definition, applied: Applied) -> None:
    """What becomes of one definition."""
    action = applied["action"]
    if action == "none":
        return
    show_line(f"{_SIGNS[action]} {applied['name']}", _SIGNS[action])
    if action == "create":
        for name, value in shown(definition).items():
            if name != "name":
                show_line(f"  + {name}: {json.dumps(value, ensure_ascii=False)}", "+")
        return
    show_changes(applied["changes"])
    for name in applied["secrets"]:
        path = name if name.startswith("tls.") else f"auth.{name}"
        show_line(f"  ~ {path}: another secret", "~")
    if not applied["changes"] and not applied["secrets"]:
        show_line("  - a secret that is not needed any more", "-")


def _sum_up(applied: AppliedAll) -> None:
    count: dict[str, int] = {}
    for one in applied["data"]:
        count[one["action"]] = count.get(one["action"], 0) + 1
    would = "would be " if applied["dry_run"] and set(count) != {"none"} else ""
    parts = [f"{count[action]} {would}{word}" for action, word in _DONE.items() if action in count]
    click.echo(", ".join(parts).replace("would be unchanged", "unchanged") + ".")
