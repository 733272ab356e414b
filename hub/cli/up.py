"""`hub up`: the options. The work is in `hub.cli.foreground`, imported only then, so `--help` is instant."""

from __future__ import annotations

import sys
from pathlib import Path

import click


def pool_sizes(text: str) -> dict[str, int]:
    """Read `execute=1,deliver=2`; pools that are not named keep one worker process, 0 leaves a pool out.

    Raises:
        click.BadParameter: not a pool, or not a number.
    """
    from hub.embedded.children import POOLS  # noqa: PLC0415

    sizes = dict.fromkeys(POOLS, 1)
    for part in filter(None, text.split(",")):
        pool, _, count = (piece.strip() for piece in part.partition("="))
        if pool not in POOLS or not count.isdecimal():
            raise click.BadParameter(
                f"{part!r} is not one of {', '.join(POOLS)} with a number, such as deliver=2."
            )
        sizes[pool] = int(count)
    return sizes


@click.command()
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where data and keys live.  [default: .hub]"
)
@click.option(
    "--workers",
    default="",
    callback=lambda _context, _option, text: pool_sizes(text),
    help="Worker processes of each pool, such as execute=1,deliver=2.",
)
@click.option("--flower/--no-flower", default=True, help="Start Flower, the Celery dashboard.")
@click.option("--demo", is_flag=True, help="When all is up, send the demo's traffic through it.")
def up(data_dir: Path | None, workers: dict[str, int], flower: bool, demo: bool) -> None:
    """Start a whole hub on this machine and keep it running until Ctrl-C.

    Postgres and Valkey are started too, unless HUB_DATABASE_URL, HUB_REDIS_URL or HUB_BROKER_URL name others.
    """
    from hub.cli.foreground import run_hub  # noqa: PLC0415

    sys.exit(run_hub(data_dir=data_dir, workers=workers, flower=flower, demo=demo))
