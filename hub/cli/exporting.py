"""`hub integrations export`: definitions of the hub as YAML that `apply` takes back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click
import yaml

from hub.cli.connection import api
from hub.cli.definition_files import SCALARS
from hub.cli.nouns import INTEGRATION, find
from hub.cli.output import show_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.client.results import Integration, IntegrationKinds

#: What the hub says of itself about an integration, and `settings` and operations, which have forms of their own.
_NOT_DECLARED = frozenset({"id", "version", "created_by", "created_at", "updated_at"})
_SECRET = frozenset({"last4", "fingerprint"})
_TAG = "tag:yaml.org,2002:"
_WIDTH = 100
#: Line breaks of YAML 1.1, which are read back only with an escape.
_OLD_BREAKS = re.compile("[\r\x85\u2028\u2029]")


@click.command()
@click.argument("integrations", metavar="[INTEGRATION]...", nargs=-1)
@click.option("--tag", multiple=True, help="Only those with this tag; repeatable.")
@click.option("--full", is_flag=True, help="Also what is as it is by default.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, which `apply` takes as well.")
def export(integrations: tuple[str, ...], tag: tuple[str, ...], full: bool, as_json: bool) -> None:
    """Write definitions as YAML, for `hub integrations apply`: of INTEGRATIONs, or of all.

    Secrets are never written: variables such as ${CRM_TOKEN} stand for them.
    """
    if integrations and tag:
        raise click.UsageError("Name integrations or --tag, not both.")
    with api() as hub:
        if integrations:
            found = [hub.get_integration(find(hub, INTEGRATION, one)) for one in integrations]
        else:
            found = list(hub.iterate("integrations", tag=list(tag) or None))[::-1]
        kinds = None if full else hub.integration_kinds()
    taken: set[str] = set()
    documents = [exported(one, kinds, taken) for one in found]
    if as_json:
        show_json({"integrations": [document for document, _ in documents]})
    else:
        click.echo("---\n".join(as_yaml(document, secrets) for document, secrets in documents), nl=False)


def exported(
    integration: Integration, kinds: IntegrationKinds | None, taken: set[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The document of an integration, and what its variables stand for.

    Args:
        integration: as the API shows it.
        kinds: what has a default is left out where it has that; None leaves nothing out.
        taken: names of variables that others have; gets those of this one.
    """
    document: dict[str, Any] = {
        name: value for name, value in integration.items() if name not in _NOT_DECLARED
    }
    secrets: dict[str, str] = {}
    for part in ("auth", "tls"):
        if document[part] is not None:
            document[part] = _named(document[part], part, integration["name"], taken, secrets)
    return document if kinds is None else _trimmed(document, kinds), secrets


def as_yaml(document: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
    """A document as text, with a comment on its variables."""
    lines = [f"#   {name}: {what}\n" for name, what in secrets.items()]
    comment = f"# Secrets are not written here; set these variables to them before you apply this:\n{''.join(lines)}"
    text = yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return (comment if secrets else "") + str(text)


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would read as something else than a text; writes long texts as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        """Everything is written out."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if _OLD_BREAKS.search(text):
        return dumper.represent_scalar(f"{_TAG}str", text, style='"')
    return dumper.represent_scalar(f"{_TAG}str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
for _name, _pattern, _first in SCALARS:
    _Dumper.add_implicit_resolver(_TAG + _name, _pattern, _first)


def _named(
    value: Mapping[str, Any], path: str, integration: str, taken: set[str], secrets: dict[str, str]
) -> dict[str, Any]:
    """A part of a definition with variables in place of what is shown of its secrets."""
    found: dict[str, Any] = {}
    for name, one in value.items():
        at = f"{path}.{name}"
        if isinstance(one, dict) and one.keys() == _SECRET:
            variable = _variable(f"{integration}_{at.removeprefix('auth.')}", taken)
            secrets[variable] = f"{at}, which ends in {one['last4']}" if one["last4"] else at
            found[name] = f"${{{variable}}}"
        else:
            found[name] = _named(one, at, integration, taken, secrets) if isinstance(one, dict) else one
    return found


def _variable(text: str, taken: set[str]) -> str:
    """A name that a shell takes and no other secret has."""
    name = re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")
    # Those of the hub itself must not be taken for secrets of others.
    if name[:1].isdigit() or name.startswith("HUB_") or not name:
        name = f"SECRET_{name}"
    count, free = 1, name
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    taken.add(free)
    return free


def _trimmed(document: dict[str, Any], kinds: IntegrationKinds) -> dict[str, Any]:
    """Without what is as it is by default."""
    type_, protocol = document["type"], document["protocol"]
    name = type_ if type_ in {one["name"] for one in kinds["transports"]} else protocol
    if name == "custom":
        name = document["settings"].get("transport")
    transport = next((one for one in kinds["transports"] if one["name"] == name), None)
    found: dict[str, Any] = _without_defaults(document, kinds["definition"])
    found = {"name": found.pop("name"), "type": type_, **found}
    if kinds["types"].get(type_, [None])[0] == protocol:
        found.pop("protocol", None)
    if "auth" in found and (form := kinds["auth_modes"].get(document["auth"]["mode"])) is not None:
        found["auth"] = _without_defaults(found["auth"], form)
    if transport is not None:
        if "settings" in found:
            found["settings"] = _without_defaults(found["settings"], transport["settings"])
        found["operations"] = {
            operation: _without_defaults(value, transport["operation"])
            for operation, value in found.get("operations", {}).items()
        }
    return {
        name: value for name, value in found.items() if value != {} or name not in {"settings", "operations"}
    }


def _without_defaults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    root = schema if root is None else root
    schema = _resolved(schema, root)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_without_defaults(one, schema["items"], root) for one in value]
    properties = schema.get("properties")
    if not isinstance(value, dict) or properties is None:
        return value
    found = {}
    for name, one in value.items():
        form = properties.get(name)
        if form is None:
            found[name] = one
        elif "default" not in form or not _same(form["default"], one):
            found[name] = _without_defaults(one, form, root)
    return found


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a schema refers to; of one that may be null as well, the other half."""
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(choices) == 1:
        schema = choices[0]
    reference = schema.get("$ref")
    if isinstance(reference, str):
        found: Mapping[str, Any] = root.get("$defs", {}).get(reference.rpartition("/")[2], {})
        return found
    return schema


def _same(default: Any, value: Any) -> bool:
    return bool(default == value) and isinstance(default, bool) == isinstance(value, bool)
