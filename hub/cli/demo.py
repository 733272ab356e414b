"""`hub demo`: traffic through the hub that runs here, or through one that is started for it."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from hub.access.issuing import issue_key, open_tenant
from hub.access.scopes import Scope
from hub.cli import local_hub
from hub.cli.output import as_json_option, console, show_json
from hub.client import HubClientError
from hub.client.http import HttpClient
from hub.client.transport import Transport
from hub.core.errors import ConfigError, Unavailable
from hub.core.settings import Settings, load_settings
from hub.db.engine import make_engine, require_database_url
from hub.embedded.children import http_ready

if TYPE_CHECKING:
    from rich.console import Console

    from hub.cli.local_hub import LocalHub
    from hub.demo.traffic import Report

_EXTRA = ("httpbin", "standardwebhooks", "waitress")
_TIMEOUT = 30.0


def require_extra() -> None:
    """Check that the packages of the demo are installed.

    Raises:
        ConfigError: names those that are missing.
    """
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"The demo needs {', '.join(missing)}: install them with `pip install 'integration-hub[demo]'`."
        )


@click.command()
@click.option(
    "--stay", is_flag=True, help="Then keep the demo's services running until Ctrl-C, to try things with."
)
@as_json_option
def demo(stay: bool, as_json: bool) -> None:
    """Send traffic through a hub and check, id by id on both sides, that nothing is missing or doubled.

    200 calls to httpbin and 2,000 events to three receivers, all on this machine. It takes the hub that runs
    here (or that HUB_URL and HUB_DATABASE_URL name), and starts one when there is none. Exit code 0 only when
    all is well.
    """
    require_extra()
    signal.signal(signal.SIGTERM, _leave)
    shown = console(stderr=as_json)
    with ExitStack() as stack:
        settings = load_settings()
        url = os.environ.get("HUB_URL") or _url(settings)
        if not _runs(settings):
            from hub.demo.own_hub import own_hub  # noqa: PLC0415 - only when it is needed

            settings = stack.enter_context(own_hub(os.environ, shown.print))
            url = _url(settings)
        report = _run(url, settings, shown, stay=stay)
    if as_json:
        from hub.demo.summary import as_json as to_json  # noqa: PLC0415

        show_json(to_json(report))
    sys.exit(1 if report.problems else 0)


def _runs(settings: Settings) -> bool:
    """Whether there is a hub to use. One that was named has to be there; any other is only looked for."""
    if os.environ.get("HUB_URL"):
        return True
    return settings.database_url is not None and http_ready(settings.api_host, settings.api_port, "/readyz")()


def _url(settings: Settings) -> str:
    return f"http://{settings.api_host}:{settings.api_port}"


def _run(url: str, settings: Settings, shown: Console, *, stay: bool) -> Report:
    from hub.demo import summary  # noqa: PLC0415 - the extra is there by now
    from hub.demo.egress import ports_for_services  # noqa: PLC0415
    from hub.demo.progress import Progress  # noqa: PLC0415
    from hub.demo.services import Services  # noqa: PLC0415
    from hub.demo.traffic import Demo, totals  # noqa: PLC0415

    here = _hub_here(settings, url)
    # Before anything is written; where the hub may call, its own settings say, not this shell's.
    ports = ports_for_services(settings.egress_ports if here is None else here.egress_ports)
    tenant, key = _make_tenant(settings)
    with ExitStack() as stack:
        services = stack.enter_context(Services(ports, tenant))
        hub = stack.enter_context(HttpClient(url, key, timeout=_TIMEOUT))
        raw = Transport(url, key, timeout=_TIMEOUT, retries=3)
        stack.callback(raw.close)
        shown.print(f"Demo traffic on tenant {tenant}:")
        with Progress(shown, totals()) as progress:
            run = Demo(hub, raw, services, progress)
            try:
                report = run.run()
            except HubClientError as error:
                raise Unavailable(f"The demo could not go on. {error}") from None
            finally:
                run.rest()
        summary.show(report, shown)
        stays = stay and not report.problems
        _remember(settings, url, tenant, key)
        if stays:
            shown.print(_afterwards(url, settings, key), soft_wrap=True)
            with suppress(KeyboardInterrupt):
                signal.pause()
    return report


def _make_tenant(settings: Settings) -> tuple[str, str]:
    """A fresh tenant and a key for it: runs do not count each other's rows."""
    name = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    engine = make_engine(require_database_url(settings))
    try:
        with engine.begin() as conn:
            tenant = open_tenant(conn, name)
            _, key = issue_key(conn, tenant.id, "demo", frozenset(Scope) - {Scope.ADMIN})
    finally:
        engine.dispose()
    return name, key.reveal()


def _hub_here(settings: Settings, url: str) -> LocalHub | None:
    hub = local_hub.read(settings.data_dir)
    return hub if hub is not None and hub.api_url == url else None


def _remember(settings: Settings, url: str, tenant: str, key: str) -> None:
    """Leave the key where the other commands on this machine find it."""
    hub = _hub_here(settings, url)
    if hub is not None:
        local_hub.write(settings.data_dir, replace(hub, demo_api_key=key, demo_tenant=tenant))


def _afterwards(url: str, settings: Settings, key: str) -> str:
    lines = ["The hub stays up, and so do httpbin and the receivers.", f"  OpenAPI   {url}/openapi.json"]
    if http_ready(settings.flower_host, settings.flower_port, "/healthcheck")():
        lines.append(f"  Flower    http://{settings.flower_host}:{settings.flower_port}")
    lines += [f"  Demo key  {key}", "Try, in another terminal:"]
    program = _program(settings)
    lines += [
        f"""  {program} publish order.created '{{"order": 42}}'""",
        f"  {program} deliveries list --limit 5",
        f"  {program} execute open get --wait 10",
    ]
    return "\n".join(lines)


def _program(settings: Settings) -> str:
    """`hub` as it has to be typed here."""
    script = Path(sys.executable).with_name("hub")
    here = Path.cwd()
    name = str(script.relative_to(here)) if script.is_relative_to(here) else "hub"
    elsewhere = settings.data_dir.resolve() != here / ".hub"
    return f"HUB_DATA_DIR={settings.data_dir} {name}" if elsewhere else name


def _leave(*_: object) -> NoReturn:
    raise KeyboardInterrupt
