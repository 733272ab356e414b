"""What the routes of integrations share in one API process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from hub.integrations.directory import Directory
from hub.integrations.executions.accepting import Doors
from hub.integrations.executions.waiting import Waiters
from hub.integrations.pipeline.call import Tools
from hub.integrations.pipeline.tools import Limits
from hub.net.session import GuardedSession
from hub.transforms import Sandbox

if TYPE_CHECKING:
    from hub.integrations.executions.job import Announcing
    from hub.integrations.grants.keeper import Grants
    from hub.web.services import Services


class Bench:
    """One for the application; nothing is opened before it is used.

    Args:
        services: of the application.
        grants: its keeper of tokens.
        announcer: tells of executions that are ended here.
    """

    def __init__(self, services: Services, grants: Grants, announcer: Announcing | None = None) -> None:
        settings = services.settings
        self.sandbox = Sandbox(children=1)
        redis_url = settings.redis_url
        self.tools = Tools(
            GuardedSession(services.policy),
            self.sandbox,
            None if redis_url is None else Limits(redis_url.get_secret_value()),
            grants,
        )
        # Inputs are judged without secrets, limits or expressions.
        self.doors = Doors(Directory(None), Tools(self.tools.session))
        self.announcer = announcer
        self.waiters = Waiters(services.engine)

    def close(self) -> None:
        """End the children and the connections."""
        self.sandbox.close()
        self.tools.session.close()


def _bench(request: Request) -> Bench:
    found: Bench = request.app.state.bench
    return found


#: As a parameter of a route.
Workshop = Annotated[Bench, Depends(_bench)]
