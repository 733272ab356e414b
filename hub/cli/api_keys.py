"""`hub api-keys`: make, show and revoke the keys that other services call the hub with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from hub.access import store
from hub.access.issuing import issue_key
from hub.access.key_audit import note_created, note_revoked
from hub.access.scopes import Scope, parse_scopes
from hub.cli.moments import parse_duration
from hub.cli.nouns import API_KEY
from hub.cli.output import as_json_option, show_json, show_record, show_table
from hub.cli.tenancy import find_tenant, tenant_option
from hub.core.errors import Invalid
from hub.core.ids import Kind, format_id, parse_id
from hub.db.engine import get_engine

if TYPE_CHECKING:
    from datetime import timedelta

    from hub.access.store import ApiKey


def _read_duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    duration = parse_duration(value)
    if not duration:
        raise click.BadParameter(f"{value!r} is not a length of time such as 30m, 12h or 90d.")
    return duration


def _read_scopes(_ctx: click.Context, _param: click.Parameter, value: str) -> frozenset[Scope]:
    try:
        return parse_scopes(part.strip() for part in value.split(",") if part.strip())
    except Invalid as error:
        raise click.BadParameter(error.detail) from None


@click.group("api-keys")
def api_keys() -> None:
    """Make, show and revoke API keys."""


@api_keys.command()
@click.argument("name")
@tenant_option
@click.option(
    "--scopes",
    callback=_read_scopes,
    required=True,
    help=f"With commas between them: {', '.join(scope.value for scope in Scope)}.",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="NAME",
    help="A name that integrations' access rules may let in; can be repeated.",
)
@click.option("--expires-in", callback=_read_duration, help="30m, 12h, 90d; without it the key stays valid.")
@as_json_option
def create(
    name: str,
    tenant: str,
    scopes: frozenset[Scope],
    roles: tuple[str, ...],
    expires_in: timedelta | None,
    as_json: bool,
) -> None:
    """Make a key called NAME. Its text is printed once and cannot be had again."""
    expires_at = datetime.now(UTC) + expires_in if expires_in else None
    with get_engine().begin() as conn:
        owner = find_tenant(conn, tenant)
        row, token = issue_key(conn, owner.id, name, scopes, expires_at=expires_at, roles=roles)
        note_created(conn, row, actor=None)
    if as_json:
        show_json(_record(row) | {"key": token.reveal()})
        return
    _print_one(row)
    click.echo("The key, shown only now:", err=True)
    click.echo(token.reveal())


@api_keys.command("list")
@tenant_option
@as_json_option
def list_(tenant: str, as_json: bool) -> None:
    """List a tenant's keys, revoked and expired ones too."""
    with get_engine().connect() as conn:
        rows = store.list_keys(conn, find_tenant(conn, tenant).id)
    if as_json:
        show_json([_record(row) for row in rows])
    else:
        _print_list(rows)


@api_keys.command()
@click.argument("key_id", metavar="KEY", callback=API_KEY.read)
@tenant_option
@as_json_option
def revoke(key_id: str, tenant: str, as_json: bool) -> None:
    """Revoke a key; it stops working within two seconds."""
    with get_engine().begin() as conn:
        row = store.revoke_key(conn, find_tenant(conn, tenant).id, parse_id(Kind.API_KEY, key_id))
        note_revoked(conn, row, actor=None)
    if as_json:
        show_json(_record(row))
    else:
        _print_one(row)


def _state(row: ApiKey, now: datetime) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if row.expires_at is not None and row.expires_at <= now:
        return "expired"
    return "active"


def _record(row: ApiKey) -> dict[str, Any]:
    def moment(at: datetime | None) -> str | None:
        return None if at is None else at.isoformat(timespec="seconds")

    return {
        "id": format_id(Kind.API_KEY, row.id),
        "name": row.name,
        "state": _state(row, datetime.now(UTC)),
        "scopes": row.scopes,
        "roles": row.roles,
        "created_at": moment(row.created_at),
        "expires_at": moment(row.expires_at),
        "revoked_at": moment(row.revoked_at),
        "last_used_at": moment(row.last_used_at),
    }


def _print_one(row: ApiKey) -> None:
    record = _record(row)
    show_record(
        {
            name: ", ".join(value) if name in {"scopes", "roles"} else value or "never"
            for name, value in record.items()
        }
    )


def _print_list(rows: list[ApiKey]) -> None:
    show_table(
        ("id", "name", "state", "scopes", "expires", "last used"),
        [
            (
                record["id"],
                record["name"],
                record["state"],
                ", ".join(record["scopes"]),
                record["expires_at"] or "never",
                record["last_used_at"] or "never",
            )
            for record in map(_record, rows)
        ],
    )
