"""What a transport is: one protocol behind one small interface.

A transport says what its definitions look like (`settings_form`, `operation_form`), what is wrong with their meaning
(`settings_faults`, `operation_faults`), makes an input into what will be sent (`prepare`, pure), and sends it (`send`,
`probe`). All of them pass the conformance suite in `tests/integration/integrations/transports/conformance.py`.

Promises that every transport keeps
- `prepare` and the faults do no I/O, and name every fault at once with its path.
- `send` never raises for what the outside does: deadline, byte cap, refused address, reset, bad credentials and
  cancellation are outcomes with the right class. Nothing is dialled but through `hub.net`.
- One deadline over everything; at most `caps.max_bytes` of an answer in memory; connections that are kept are shared
  only under `connection.pool_key`.
- No secret is in a `Prepared` or in an outcome's message. (Echoes of secrets in headers and bodies are masked by the
  pipeline.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from hub.integrations.forms import Form
from hub.net.cancellation import Cancellation

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from uuid import UUID

    from hub.core.errors import FieldError
    from hub.integrations.auth.mode import Credentials
    from hub.integrations.operation import OperationForm
    from hub.net.identity import TlsIdentity
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession

#: Decoded bytes of an answer that are kept unless the integration says more.
DEFAULT_MAX_BYTES = 1_048_576


class NoSettings(Form):
    """The settings of a transport that has none."""


class CustomSettings(Form):
    """The settings of a transport of another package, which adds its own in a subclass."""

    transport: str = Field(description="Its name: that of its entry point.")


@dataclass(frozen=True, slots=True)
class Connection:
    """Where and how an integration is called.

    Args:
        id: the integration.
        tenant_id: whose.
        base_url: scheme, host, port, path; checked when it was saved; no slash at its end.
        headers: sent with every call by transports that have headers.
        settings: an instance of the transport's `settings_form`.
        operations: instances of its `operation_form`, by name.
        follow_redirects: hops that HTTP calls may follow.
        tls: a client certificate and authorities of its own; None for the usual ones.
        pool_key: connections are shared only under it; changes with every version of the integration.
    """

    id: UUID
    tenant_id: UUID
    base_url: str
    headers: Mapping[str, str]
    settings: Any
    operations: Mapping[str, Any]
    follow_redirects: int
    tls: TlsIdentity | None
    pool_key: Hashable


@dataclass(frozen=True, slots=True)
class Prepared:
    """What will be sent, before authentication.

    Args:
        method: the verb as people know it: `GET`, `QUERY`, `pkg.Service/Method`, `SELECT`, `publish`, `chat` …
        endpoint: the whole address, or what is called there; without credentials.
        headers: of the request, where there are any.
        payload: what is sent, as a JSON value or a text, for people; None when there is nothing.
        safe: it changes nothing.
        idempotent: doing it twice is doing it once.
        wire: the transport's own, for `send`.
    """

    method: str
    endpoint: str
    headers: Mapping[str, str]
    payload: Any
    safe: bool
    idempotent: bool
    wire: Any


@dataclass(frozen=True, slots=True)
class Caps:
    """The bounds of one call.

    Args:
        timeout: seconds for everything.
        max_bytes: of the answer, decoded; a longer one is `too_large`.
        cancellation: ends the call from outside.
        idempotency_key: the same for every attempt of one execution; sent where the operation says how.
    """

    timeout: float
    max_bytes: int = DEFAULT_MAX_BYTES
    cancellation: Cancellation = field(default_factory=Cancellation)
    idempotency_key: str = ""


class Transport(ABC):
    """One protocol. Stateless but for connections that it keeps; safe in any number of threads.

    Attributes:
        name: `rest`, `grpc`, `database` … or the name of an entry point.
        schemes: URL scheme of `base_url` → port when the URL names none.
        auth_modes: which modes it can use.
        settings_form: of `settings`.
        operation_form: of each operation.
        free_operation: an operation that every integration of this transport has; None when there is none.
    """

    name: ClassVar[str]
    schemes: ClassVar[Mapping[str, int]]
    auth_modes: ClassVar[frozenset[str]]
    settings_form: ClassVar[type[Form]] = NoSettings
    operation_form: ClassVar[type[OperationForm]]
    free_operation: ClassVar[str | None] = None

    def settings_faults(self, settings: Any, base_url: str) -> list[FieldError]:
        """What is wrong with the meaning of well-formed settings; paths begin with `settings.`."""
        del settings, base_url
        return []

    def operation_faults(self, operation: Any, settings: Any, at: str) -> list[FieldError]:
        """What is wrong with the meaning of a well-formed operation; paths begin with `at`.

        Args:
            operation: an instance of `operation_form`.
            settings: the settings, or None when they are at fault.
            at: where it stands, such as `operations.get_user`.
        """
        del operation, settings, at
        return []

    @abstractmethod
    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        """Make what will be sent. Pure.

        Args:
            connection: where to.
            operation: its name.
            given: the input, any JSON value.
            field: where the input stands in the caller's body, for errors.

        Raises:
            Invalid: with one field for every fault.
        """

    @abstractmethod
    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> Outcome:
        """Make the call. Never raises for what the outside does.

        Args:
            session: the way out; `session.policy` judges addresses for transports that open sockets themselves.
            connection: where to.
            prepared: from `prepare`.
            credentials: applied at the last moment.
            caps: its bounds.
        """

    @abstractmethod
    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """Prove that the service is there and takes the credentials, changing nothing."""
