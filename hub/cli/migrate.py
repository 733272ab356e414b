"""`hub migrate`: bring the database schema up to date."""

from __future__ import annotations

import click

from hub.cli.output import as_json_option, console, show_json
from hub.core.settings import get_settings
from hub.db import migrate as migrations
from hub.db.engine import make_engine, require_database_url


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 when a migration is missing.")
@as_json_option
def migrate(check: bool, as_json: bool) -> None:
    """Bring the database of HUB_DATABASE_URL up to date. Safe to repeat and to run in several places."""
    url = require_database_url(get_settings())
    before = _current(url)
    head = migrations.head()
    if not check:
        with console(stderr=True).status("Migrating…"):
            # Also when the schema is new enough: partitions of the coming days are made here too.
            migrations.upgrade(url)
    after = before if check else head
    if as_json:
        show_json({"before": before, "now": after, "head": head, "up_to_date": after == head})
    elif after != head:
        click.echo(f"The schema is at {before or 'nothing'}, this version needs {head}: run `hub migrate`.")
    elif before == head:
        click.echo(f"The schema is up to date ({head}).")
    else:
        click.echo(f"Migrated from {before or 'nothing'} to {head}.")
    if after != head:
        raise click.exceptions.Exit(1)


def _current(url: str) -> str | None:
    engine = make_engine(url, pool_size=1, application_name="hub migrate")
    try:
        with engine.connect() as conn:
            return migrations.current(conn)
    finally:
        engine.dispose()
