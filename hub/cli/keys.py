"""`hub keys`: make, check and change the master keys that secrets are stored under."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from hub.cli.output import as_json_option, console, show_json
from hub.core.ids import Kind, format_id
from hub.core.settings import get_settings
from hub.db.engine import get_engine
from hub.vault.keyring import KeyRing, generate_key, parse_keys
from hub.vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sqlalchemy import Connection

    from hub.vault.rotation import Batch
    from hub.vault.store import Usage

_BATCH = 500
#: Rows that another process holds are waited for as long as something moves, and then this many seconds.
_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.2


@click.group()
def keys() -> None:
    """Make, check and change the master keys (HUB_MASTER_KEYS).

    To change the key: put a new one first in HUB_MASTER_KEYS and keep the old one behind it; `hub keys
    rotate`; restart every process with both keys; `hub keys rotate` once more; `hub keys retire`; remove the
    old key. Calls go on throughout.
    """


@keys.command()
@as_json_option
def generate(as_json: bool) -> None:
    """Print a new key. Keep it as safe as the database's backups, and apart from them."""
    key = generate_key(os.urandom)
    if as_json:
        show_json({"key": key, "kek_id": parse_keys(key).primary.id})
    else:
        click.echo(key)


@keys.command()
@as_json_option
def check(as_json: bool) -> None:
    """Tell whether HUB_MASTER_KEYS opens the database, and how many secrets are under which key.

    Changes nothing. Exit code 1 and a sentence when the keys do not fit.
    """
    ring, vault = _ring_and_vault()
    with (
        get_engine().connect() as conn
    ):  # no commit: only a process that starts work adopts an empty database
        usage = vault.check(conn)
    rows = _key_rows(ring, usage)
    if as_json:
        show_json({"primary": ring.primary.id, "keys": rows})
        return
    table = Table(title="Master keys")
    for heading in ("key", "role", "secrets", "also readable"):
        table.add_column(heading, justify="right" if heading in {"secrets", "also readable"} else "left")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console().print(table)
    click.echo("The keys open this database.")


@keys.command()
@as_json_option
def rotate(as_json: bool) -> None:
    """Put every secret under the first key of HUB_MASTER_KEYS, while calls go on. Safe to repeat."""
    ring, vault = _ring_and_vault()
    with get_engine().begin() as conn:
        vault.check(conn)
    moved, left, broken = _run("Rotating", lambda conn, skip: vault.rewrap(conn, _BATCH, skip))
    if broken:
        names = ", ".join(format_id(Kind.SECRET, secret_id) for secret_id in broken)
        step = f"These secrets do not open; set each anew or restore its row, then repeat: {names}."
    elif left:
        step = f"{left} secrets are held by another process; run `hub keys rotate` again."
    elif not ring.older:
        step = "HUB_MASTER_KEYS holds one key. To change it, put a new one (`hub keys generate`) before it."
    else:
        step = (
            "The old key can be retired: restart every process with both keys, rotate once more,"
            " then `hub keys retire`."
        )
    _report(as_json, {"primary": ring.primary.id, "moved": moved, "left": left, "next": step})
    if left:
        raise click.exceptions.Exit(1)


@keys.command()
@as_json_option
def retire(as_json: bool) -> None:
    """Close all secrets to the old keys, once every process runs with the new one."""
    ring, vault = _ring_and_vault()
    with get_engine().begin() as conn:
        vault.check(conn)
    moved, left, _ = _run("Retiring", lambda conn, _skip: vault.retire(conn, _BATCH))
    if left:
        step = f"{left} secrets are held by another process; run `hub keys retire` again."
    else:
        step = "The old keys open nothing now: remove them from HUB_MASTER_KEYS at the next restart."
    _report(as_json, {"primary": ring.primary.id, "moved": moved, "left": left, "next": step})
    if left:
        raise click.exceptions.Exit(1)


def _ring_and_vault() -> tuple[KeyRing, Vault]:
    ring = KeyRing.from_settings(get_settings())
    return ring, Vault(ring)


def _key_rows(ring: KeyRing, usage: list[Usage]) -> list[dict[str, str | int]]:
    """One row for each key in the ring or in use: its role, secrets under it, others that it may read."""
    ids = dict.fromkeys([key.id for key in ring.keys] + [row.kek_id for row in usage])
    return [
        {
            "kek_id": kek_id,
            "role": "primary" if kek_id == ring.primary.id else "old" if ring.find(kek_id) else "missing",
            "secrets": sum(row.secrets for row in usage if row.kek_id == kek_id),
            "also_readable": sum(row.secrets for row in usage if row.previous_kek_id == kek_id),
        }
        for kek_id in ids
    ]


def _run(title: str, step: Callable[[Connection, list[UUID]], Batch]) -> tuple[int, int, list[UUID]]:
    """Repeat a step, a transaction each, until nothing is left that can be changed; show how far it is."""
    moved = 0
    broken: list[UUID] = []
    last_progress = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None)
        while True:
            with get_engine().begin() as conn:
                batch = step(conn, broken)
            moved += batch.moved
            broken += batch.broken
            progress.update(task, completed=moved, total=moved + batch.left)
            if batch.moved or batch.broken:
                last_progress = time.monotonic()
            elif batch.left == len(broken) or time.monotonic() - last_progress > _PATIENCE_SECONDS:
                return moved, batch.left, broken
            else:
                time.sleep(_PAUSE_SECONDS)


def _report(as_json: bool, result: dict[str, str | int]) -> None:
    if as_json:
        show_json(result)
    else:
        click.echo(f"{result['moved']} secrets changed, {result['left']} left. {result['next']}")
