"""Calling a transport as the pipeline does."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from hub.core.secret import Secret
from hub.integrations.auth.mode import Credentials
from hub.integrations.transports.interface import Caps, Connection, Transport
from hub.net import AddressPolicy, GuardedSession, Outcome
from hub.net.identity import TlsIdentity

LOOPBACK = AddressPolicy(allow=["127.0.0.0/8"], ports=[0])


def basic(username: str, password: str) -> Credentials:
    return Credentials("basic", {"mode": "basic", "username": username}, {"password": Secret(password)})


class Caller:
    """One integration of one transport.

    Args:
        transport: a fresh one for every test, since it keeps connections.
        base_url: where to.
        credentials: of every call.
        operations: by name, as people write them.
        settings: as people write them.
    """

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        credentials: Credentials | None = None,
        operations: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        tls: TlsIdentity | None = None,
        policy: AddressPolicy = LOOPBACK,
    ) -> None:
        self.transport = transport
        self.credentials = credentials or Credentials()
        self.session = GuardedSession(policy)
        self.settings = transport.settings_form.model_validate(settings or {})
        self.connection = Connection(
            id=UUID(int=1),
            tenant_id=UUID(int=2),
            base_url=base_url,
            headers={},
            settings=self.settings,
            operations={
                name: transport.operation_form.model_validate(form)
                for name, form in (operations or {}).items()
            },
            follow_redirects=0,
            tls=tls,
            pool_key="integration-1",
        )

    def call(self, operation: str, given: Any = None, **caps: Any) -> Outcome:
        """Prepare and send."""
        prepared = self.transport.prepare(self.connection, operation, given)
        return self.transport.send(
            self.session, self.connection, prepared, self.credentials, Caps(**{"timeout": 10.0} | caps)
        )

    def result(self, operation: str, given: Any = None, **caps: Any) -> Any:
        """What a call that must succeed answers."""
        outcome = self.call(operation, given, **caps)
        assert outcome.error_class is None, (outcome.error_class, outcome.message)
        assert outcome.headers["content-type"] == "application/json"
        assert outcome.peer == "127.0.0.1"
        return json.loads(outcome.body)

    def probe(self, **caps: Any) -> Outcome:
        return self.transport.probe(
            self.session, self.connection, self.credentials, Caps(**{"timeout": 10.0} | caps)
        )
