"""One call, as the dialects see it: the way out, its bounds, and what is noted on the way."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from hub.integrations.transports.database.verdict import Verdict
from hub.net.cancellation import Cancellation
from hub.net.dial import dial
from hub.net.outcome import ErrorClass
from hub.net.sockets import Deadline
from hub.net.trace import Trace

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from hub.integrations.transports.database.address import Address, Login
    from hub.integrations.transports.database.parameters import Value
    from hub.integrations.transports.database.rows import Rows
    from hub.integrations.transports.database.statement import Statement
    from hub.net.policy import AddressPolicy
    from hub.net.sockets import PlainSocket

#: For ending a statement on the server whose call is over.
_GRACE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Call:
    """The bounds of one call.

    Args:
        policy: judges addresses.
        context: for TLS; None is in the clear.
        address: where to.
        login: as whom.
        deadline: over everything.
        cancellation: ends it.
        trace: what is noted.
    """

    policy: AddressPolicy
    context: ssl.SSLContext | None
    address: Address
    login: Login
    deadline: Deadline
    cancellation: Cancellation
    trace: Trace

    def dial(self, usual_port: int) -> PlainSocket:
        """A connection to the server; not secured yet."""
        return dial(
            self.policy,
            self.address.host,
            self.address.port,
            deadline=self.deadline,
            usual_ports=(usual_port,),
            cancellation=self.cancellation,
            trace=self.trace,
        )

    def afterwards(self) -> Call:
        """A call that may last a little longer than this one, to tidy up."""
        return replace(self, deadline=Deadline(_GRACE_SECONDS), cancellation=Cancellation(), trace=Trace())


def in_background(work: Callable[[], object]) -> None:
    """Do what nobody waits for, and whose failure changes nothing."""

    def run() -> None:
        with contextlib.suppress(Exception):  # the server ends the statement by its own limit then
            work()

    threading.Thread(target=run, name="hub-database-end", daemon=True).start()


@dataclass(frozen=True, slots=True)
class Query:
    """What is to be done.

    Args:
        statement: as the dialect reads it.
        values: of its parameters, by name.
        write: it may change data.
        max_rows: see `Rows`.
    """

    statement: Statement
    values: Mapping[str, Value]
    write: bool
    max_rows: int


class Session(Protocol):
    """One connection with a login, used by one call at a time."""

    sock: PlainSocket

    @property
    def reusable(self) -> bool:
        """Open, idle and in step."""

    def run(self, call: Call, query: Query, rows: Rows) -> None:
        """Do one statement in a transaction of its own.

        Raises:
            Verdict: the server's error, or ours about its answer.
            Stale: a kept connection had ended before anything of the statement was sent.
            OSError: the connection.
        """

    def end_statement(self, call: Call) -> None:
        """Have the server end what this connection runs."""

    def close(self) -> None:
        """Close it; never raises."""


class Stale(Exception):
    """A kept connection is of no use; nothing was done."""


def no_tls() -> Verdict:
    """The fault of a server without TLS."""
    return Verdict(
        ErrorClass.TLS,
        "The server offers no TLS; turn it on there, or set settings.tls to `disable` to go on in the clear.",
    )
