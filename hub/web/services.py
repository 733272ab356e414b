"""What a request handler may use, made once for each process and kept in `app.state.services`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Protocol

from fastapi import Depends, Request

from hub.web.slow import SlowRequests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from hub.access.authenticator import Authenticator
    from hub.core.settings import Settings
    from hub.net.policy import AddressPolicy
    from hub.queue.contracts import TaskName
    from hub.vault.vault import Vault


class Ring(Protocol):
    """Tell a pump that rows wait; returns at once and never raises."""

    def __call__(self, task: TaskName, ids: Sequence[str] = ()) -> None:
        """Ring for these public ids among others."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that is shared between requests. Thread-safe."""

    settings: Settings
    engine: Engine
    authenticator: Authenticator
    vault: Vault
    policy: AddressPolicy
    ring: Ring
    slow: SlowRequests = field(default_factory=SlowRequests)


def services(request: Request) -> Services:
    """The services of the application that serves this request."""
    found: Services = request.app.state.services
    return found


#: Parameter of a route: `hub: Hub`.
Hub = Annotated[Services, Depends(services)]
