"""The API process: `python -m hub.api`.

Checks what it cannot work without, says in one sentence what is missing, then serves until SIGTERM or SIGINT:
requests in flight get `_GRACE_SECONDS`, events that were taken are committed, doorbells owed are rung.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from hub.access.authenticator import Authenticator
from hub.api.app import create_app
from hub.api.listener import Listener
from hub.api.protocol import HubProtocol
from hub.core.errors import ConfigError
from hub.core.logging import configure_logging
from hub.core.settings import get_settings
from hub.db.engine import forget_engine, get_engine
from hub.net.policy import AddressPolicy
from hub.queue.app import get_app
from hub.queue.bell import Bell, connect
from hub.queue.ringer import Ringer
from hub.vault.keyring import KeyRing
from hub.vault.vault import Vault
from hub.web.services import Services

if TYPE_CHECKING:
    from fastapi import FastAPI

    from hub.core.settings import Settings

log = logging.getLogger("hub.api")

_GRACE_SECONDS = 4
_KEEP_ALIVE_SECONDS = 30


def main() -> int:
    """Run the process.

    Returns:
        Its exit status: 0 after a signal; 78 (EX_CONFIG) for a setting to mend; 69 (EX_UNAVAILABLE) when the
        database does not answer.
    """
    signal.signal(signal.SIGTERM, _end)
    try:
        settings = get_settings()
        configure_logging(settings.log_level)
        with ExitStack() as stack:
            server = make_server(_assemble(settings, stack), settings)
            # What lives as long as the process is not walked again by every full collection, which stops all requests.
            gc.collect()
            gc.freeze()
            server.run()
    except ConfigError as error:
        sys.stderr.write(f"hub.api: {error.detail}\n")
        return os.EX_CONFIG
    except SQLAlchemyError as error:
        log.debug("The database did not answer.", exc_info=error)
        sys.stderr.write(
            f"hub.api: the database of HUB_DATABASE_URL does not answer or is not migrated"
            f" ({type(error).__name__}): `hub doctor` looks closer, `hub migrate` makes the tables.\n"
        )
        return os.EX_UNAVAILABLE
    except KeyboardInterrupt:
        pass
    return os.EX_OK


def make_server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """The server; `run()` serves until SIGTERM or SIGINT, and raises that signal again at its end."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.api_host,
            port=settings.api_port,
            http=HubProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )


def _assemble(settings: Settings, stack: ExitStack) -> FastAPI:
    """Make the services and start the threads; the stack ends them in reverse order.

    Raises:
        ConfigError: a setting is missing, or the key ring does not open this database.
        SQLAlchemyError: the database does not answer.
    """
    vault = Vault(KeyRing.from_settings(settings))
    engine = get_engine()
    stack.callback(forget_engine, close=True)
    with engine.begin() as conn:
        vault.check(conn)
    if settings.redis_url is None:
        raise ConfigError("HUB_REDIS_URL is not set: point it to a Redis, or start everything with `hub up`.")
    ringer = Ringer(Bell(connect(settings.redis_url.get_secret_value()), get_app()))
    stack.callback(ringer.stop)
    listener = Listener(
        engine.url.set(drivername="postgresql").render_as_string(hide_password=False), ringer.ring
    )
    listener.start()
    stack.callback(listener.stop)
    return create_app(
        Services(
            settings=settings,
            engine=engine,
            authenticator=Authenticator(engine),
            vault=vault,
            policy=AddressPolicy.from_settings(settings),
            ring=ringer.ring,
        )
    )


def _end(_signal: int, _frame: object) -> NoReturn:
    """SIGTERM before or after serving ends the process the way an exception does: everything is closed."""
    raise SystemExit(os.EX_OK)


if __name__ == "__main__":
    sys.exit(main())
