"""A process that wants a token, with many threads; it may kill itself at a named point of a renewal.

`python -m tests.support.refreshing` reads one line of JSON (`tenant`, `integration`, `threads`, `lease`, `point`) and says
`ready`; with the next line it begins. At its end it prints what its threads got: a token's fingerprint, or an error's
code. The database and the keys come from the environment.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

from hub.core.clock import SystemClock
from hub.core.errors import HubError
from hub.db.engine import make_engine
from hub.integrations.grants import refresh, store
from hub.integrations.grants.asking import Asker
from hub.integrations.grants.authorization import load_holder
from hub.integrations.grants.errors import NotYet
from hub.integrations.grants.keeper import Grants
from hub.integrations.grants.refresh import Refresher
from hub.net.policy import AddressPolicy
from hub.net.session import GuardedSession
from hub.vault.keyring import parse_keys
from hub.vault.vault import Vault

#: Where it may die.
POINTS = ("before lease", "after intent", "after question", "before commit", "after storing")
_PATIENCE_SECONDS = 30.0


def _die(*_given: Any, **_options: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _then_die(call: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*given: Any, **options: Any) -> Any:
        call(*given, **options)
        _die()

    return dying


def _arm(point: str) -> None:
    if point == "before lease":
        store.take_lease = _die
    elif point == "after intent":
        Asker.ask = _die  # type: ignore[method-assign]
    elif point == "after question":
        Asker.ask = _then_die(Asker.ask)  # type: ignore[method-assign]
    elif point == "before commit":
        store.keep_tokens = _then_die(store.keep_tokens)
    elif point == "after storing":
        Refresher._write = _then_die(Refresher._write)  # type: ignore[method-assign]


def _get(grants: Grants, tenant: UUID, integration: UUID) -> str:
    """A token's fingerprint, or why there is none; waits as an execution would, in the ledger."""
    until = time.monotonic() + _PATIENCE_SECONDS
    holder, _ = load_holder(grants, tenant, integration)
    while True:
        try:
            return grants.credentials(holder).credentials.secrets["access_token"].fingerprint
        except NotYet as error:
            if time.monotonic() > until:
                return error.code
            time.sleep(min(error.due_in, 0.5))
        except HubError as error:
            return error.code


def main() -> None:
    """Run."""
    task = json.loads(sys.stdin.readline())
    refresh.LEASE_SECONDS = float(task["lease"])
    _arm(task.get("point", ""))
    engine = make_engine(os.environ["HUB_DATABASE_URL"], pool_size=8)
    session = GuardedSession(AddressPolicy(allow=["127.0.0.0/8"], ports=[0]))
    vault = Vault(parse_keys(os.environ["HUB_MASTER_KEYS"]))
    grants = Grants(engine, vault, session, SystemClock(), Random(), f"process {os.getpid()}")
    print("ready", flush=True)
    sys.stdin.readline()
    found: list[str] = []
    tenant, integration = UUID(task["tenant"]), UUID(task["integration"])
    threads = [
        threading.Thread(target=lambda: found.append(_get(grants, tenant, integration)))
        for _ in range(int(task["threads"]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(found), flush=True)
    grants.close()
    session.close()
    engine.dispose()


if __name__ == "__main__":
    main()
