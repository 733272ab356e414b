"""`hub doctor`: looks at every part of a hub and says what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.table import Column, Table
from rich.text import Text

from hub.cli import local_hub, probes
from hub.cli.connection import api_url
from hub.cli.findings import Finding, Level, judge_egress
from hub.cli.output import as_json_option, console, show_json
from hub.core.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hub.core.settings import Settings

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


@click.command()
@as_json_option
def doctor(as_json: bool) -> None:
    """Look at database, Redis, broker, workers, beat, clock, keys and API; exit code 1 when one fails."""
    settings = get_settings()
    looks: dict[str, Callable[[], list[Finding]]] = {
        "database": lambda: probes.probe_database(settings),
        "redis": lambda: probes.probe_redis(settings),
        "broker": lambda: probes.probe_broker(settings),
        "egress": lambda: [_egress(settings)],
        "api": lambda: probes.probe_api(api_url()),
    }
    found: list[Finding] = []
    with console(stderr=True).status("Looking…") as status:
        for name, look in looks.items():
            status.update(f"Looking at {name}…")
            found += look()
    failed = any(one.level is Level.FAIL for one in found)
    if as_json:
        show_json({"ok": not failed, "findings": [asdict(one) for one in found]})
    else:
        _show(found)
    if failed:
        raise click.exceptions.Exit(1)


def _egress(settings: Settings) -> Finding:
    """Where calls may go: as the hub that runs here was started; of any other only this shell's settings are known."""
    hub = local_hub.read(settings.data_dir)
    if hub is not None and hub.api_url.rstrip("/") == api_url().rstrip("/"):
        return judge_egress(hub.egress_allow, hub.egress_ports, whose=f"the hub of process {hub.pid}")
    return judge_egress(settings.egress_allow, settings.egress_ports, whose="this shell, maybe not the hub's")


def _show(found: Sequence[Finding]) -> None:
    table = Table(
        Column("part", no_wrap=True),
        "state",
        Column("seen", overflow="fold"),
        Column("what to do", overflow="fold"),
    )
    for one in found:
        table.add_row(one.part, Text(one.level.value, _STYLES[one.level]), one.seen, one.advice)
    console().print(table)
