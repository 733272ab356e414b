"""A hub for the time of one demo: servers, API, workers and beat as processes, their logs in files.

Unlike `hub up` it watches over nothing: a part that crashes in this minute is what the demo would find.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from hub.core.errors import ConfigError
from hub.demo.egress import free_ports, open_loopback
from hub.embedded.children import POOLS, hub_children
from hub.embedded.ports import require_ports
from hub.embedded.process import FileOutput, Process
from hub.embedded.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hub.core.settings import Settings

_API_PORTS = range(8500, 8600)
_STOP_SECONDS = 10.0


@contextmanager
def own_hub(environ: Mapping[str, str], say: Callable[[str], None]) -> Iterator[Settings]:
    """Start a hub, and stop it at the end of the block.

    Args:
        environ: the variables to start from; servers that they name are used.
        say: prints a line.

    Raises:
        ConfigError: a part of it did not start.
    """
    given, opened = open_loopback(environ)
    if opened:
        say(opened)
    given.setdefault("HUB_API_PORT", str(free_ports(_API_PORTS)[0]))
    say("Starting a hub for the demo…")
    with Stack(given, check=partial(require_ports, flower=False)) as stack:
        logs = stack.data_dir / "log"
        children = hub_children(
            stack.settings, stack.environ, workers=dict.fromkeys(POOLS, 1), flower_login=None
        )
        processes = [Process(child, FileOutput(logs)) for child in children]
        try:
            for process in processes:
                process.start()
            for process in processes:
                if not process.wait_ready():
                    name = process.child.name
                    raise ConfigError(f"{name} did not start; its last words are in {logs / name}.log.")
            yield stack.settings
        finally:
            _stop(processes)


def _stop(processes: list[Process]) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    for process in processes:
        process.ask_to_stop()
    for process in processes:
        process.wait(deadline)
        process.kill()
