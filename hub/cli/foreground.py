"""A whole hub in the foreground of a terminal: servers, API, workers, beat and Flower, until Ctrl-C."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from hub.cli import local_hub
from hub.cli.local_hub import LocalHub
from hub.core.errors import ConfigError
from hub.embedded.children import hub_children
from hub.embedded.logstream import LogStream
from hub.embedded.ports import require_ports
from hub.embedded.process import Child, Process
from hub.embedded.secretfile import ensure_secret
from hub.embedded.stack import Stack
from hub.embedded.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hub.core.settings import Settings


def run_hub(*, data_dir: Path | None, workers: Mapping[str, int], flower: bool, demo: bool) -> int:
    """Run the hub that the environment describes until a stop signal.

    Args:
        data_dir: overrides HUB_DATA_DIR.
        workers: worker processes by pool.
        flower: start Flower.
        demo: start the demo's traffic when all is up.

    Returns:
        The exit code.

    Raises:
        ConfigError: something is missing or wrong; nothing runs any more.
    """
    # Until the supervisor takes over, a SIGTERM must clean up just as Ctrl-C does.
    signal.signal(signal.SIGTERM, _leave)
    environ = dict(os.environ)
    if data_dir is not None:
        environ["HUB_DATA_DIR"] = str(data_dir)
    stream = LogStream()
    if demo:
        environ = _ready_for_demo(environ, stream)
    with Stack(environ, output=stream, check=partial(require_ports, flower=flower)) as stack:
        settings = stack.settings
        login = _flower_login(settings) if flower else None
        children = hub_children(settings, stack.environ, workers=workers, flower_login=login)
        if demo:
            children.append(_demo(settings, stack.environ))
        processes = [*stack.processes, *(Process(child, stream) for child in children)]

        def on_ready() -> None:
            local_hub.write(stack.data_dir, _local_hub(stack))
            stream.say(_welcome(stack, flower=flower))

        try:
            code = Supervisor(processes, say=stream.say).run(on_ready)
        finally:
            local_hub.remove(stack.data_dir)
    stream.drain()
    return code


def _ready_for_demo(environ: dict[str, str], stream: LogStream) -> dict[str, str]:
    from hub.cli.demo import require_extra  # noqa: PLC0415 - most hubs run without a demo
    from hub.demo.egress import open_loopback  # noqa: PLC0415

    require_extra()
    opened, line = open_loopback(environ)
    if line:
        stream.say(line)
    return opened


def _local_hub(stack: Stack) -> LocalHub:
    """How other commands on this machine reach this hub."""
    settings = stack.settings
    assert settings.database_url is not None
    assert settings.redis_url is not None
    return LocalHub(
        pid=os.getpid(),
        api_url=_api_url(settings),
        database_url=settings.database_url.get_secret_value(),
        redis_url=settings.redis_url.get_secret_value(),
        broker_url=settings.broker_url.get_secret_value() if settings.broker_url else None,
        master_keys_file=stack.environ.get("HUB_MASTER_KEYS_FILE"),
        egress_allow=settings.egress_allow,
        egress_ports=settings.egress_ports,
    )


def _leave(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _demo(settings: Settings, environ: Mapping[str, str]) -> Child:
    """The demo's traffic against the hub that was just started; then its services, to try things with."""
    return Child(
        name="demo",
        argv=[sys.executable, "-m", "hub.cli.main", "demo", "--stay"],
        env={**environ, "HUB_URL": _api_url(settings), "PYTHONUNBUFFERED": "1"},
        once=True,
    )


def _api_url(settings: Settings) -> str:
    return f"http://{settings.api_host}:{settings.api_port}"


def _flower_login(settings: Settings) -> str:
    if settings.flower_password is not None:
        password = settings.flower_password.get_secret_value()
        if "," in password:
            raise ConfigError(
                "HUB_FLOWER_PASSWORD contains a comma, which Flower cannot read: choose another one."
            )
    else:
        password = ensure_secret(_flower_file(settings), lambda: secrets.token_urlsafe(18))
    return f"{settings.flower_user}:{password}"


def _flower_file(settings: Settings) -> Path:
    return settings.data_dir / "flower.password"


def _welcome(stack: Stack, *, flower: bool) -> str:
    settings = stack.settings
    api = _api_url(settings)
    lines = ["The hub is up.", f"  API      {api}", f"  OpenAPI  {api}/openapi.json"]
    if flower:
        source = "HUB_FLOWER_PASSWORD" if settings.flower_password else f"in {_flower_file(settings)}"
        lines.append(f"  Flower   http://{settings.flower_host}:{settings.flower_port}")
        lines.append(f"           user {settings.flower_user}, password {source}")
    if stack.key_file:
        lines.append(f"  Key      {stack.key_file}: keep a copy, without it stored secrets cannot be read.")
    lines += [f"  Data     {stack.data_dir}", "Ctrl-C stops everything."]
    return "\n".join(lines)
