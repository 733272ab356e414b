"""`hub integrations kinds`: what an integration can be made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub.cli.connection import api
from hub.cli.output import as_json_option, show_json, show_rows, shown
from hub.core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.cli.output import Columns
    from hub.client.results import IntegrationKinds

_TYPE_COLUMNS: Columns = {"type": "type", "protocols": "protocols"}
_TRANSPORT_COLUMNS: Columns = {
    "transport": "name",
    "base_url": lambda row: ", ".join(f"{scheme}://" for scheme in row["schemes"]),
    "free operation": "free_operation",
    "auth": lambda row: ", ".join(row["auth_modes"]),
}
_FIELD_COLUMNS: Columns = {
    "field": "field",
    "kind": "kind",
    "default": "default",
    "description": "description",
}


@click.command()
@click.argument("name", required=False)
@as_json_option
def kinds(name: str | None, as_json: bool) -> None:
    """List types, transports and authentication modes; of the one that is called NAME, its fields."""
    with api() as hub:
        found = hub.integration_kinds()
    if name is None:
        if as_json:
            show_json(found)
        else:
            _show_all(found)
        return
    forms = _forms(found, name)
    if as_json:
        show_json(forms)
        return
    for place, schema in forms.items():
        rows = _fields(place, schema)
        if rows:
            show_rows(rows, _FIELD_COLUMNS)


def _show_all(found: IntegrationKinds) -> None:
    show_rows(
        [{"type": name, "protocols": ", ".join(protocols)} for name, protocols in found["types"].items()],
        _TYPE_COLUMNS,
    )
    show_rows(found["transports"], _TRANSPORT_COLUMNS)
    click.echo(f"Authentication modes: {', '.join(found['auth_modes'])}.")


def _forms(found: IntegrationKinds, name: str) -> dict[str, dict[str, Any]]:
    """The schemas of a transport or mode, by where they stand in a definition."""
    for transport in found["transports"]:
        if transport["name"] == name:
            return {"settings": transport["settings"], "operations.NAME": transport["operation"]}
    if name in found["auth_modes"]:
        return {"auth": found["auth_modes"][name]}
    raise NotFound(
        f"There is no transport and no authentication mode {name}; `hub integrations kinds` lists them."
    )


def _fields(place: str, schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    required = schema.get("required", ())
    return [
        {
            "field": f"{place}.{name}",
            "kind": _kind(form),
            "default": "required" if name in required else shown(form.get("default")),
            "description": form.get("description", ""),
        }
        for name, form in schema.get("properties", {}).items()
    ]


def _kind(form: Mapping[str, Any]) -> str:
    """What a field takes, in a few words."""
    choices = [one for one in form.get("anyOf", ()) if one.get("type") != "null"]
    if choices:
        return " or ".join(dict.fromkeys(map(_kind, choices)))
    if "const" in form:
        return str(form["const"])
    if "enum" in form:
        return " | ".join(map(str, form["enum"]))
    if form.get("writeOnly"):
        return "secret"
    return str(form["$ref"]).rpartition("/")[2] if "$ref" in form else str(form.get("type", "any"))
