"""One call, as the dialects see it: the way out, its bounds, and what is noted on the way."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from hub.integrations.transports.dialled import Keepable, Verdict
from hub.net.outcome import ErrorClass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hub.integrations.transports.database.address import Login
    from hub.integrations.transports.database.parameters import Value
    from hub.integrations.transports.database.rows import Rows
    from hub.integrations.transports.database.statement import Statement
    from hub.integrations.transports.dialled import Way

#: For ending a statement on the server whose call is over.
_GRACE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Args:
        way: where to, and the bounds.
        database: its name.
        login: as whom.
    """

    way: Way
    database: str
    login: Login

    def afterwards(self) -> Call:
        """A call that tidies up after this one."""
        return replace(self, way=self.way.afterwards(_GRACE_SECONDS))


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


class Session(Keepable, Protocol):
    """One connection with a login, used by one call at a time."""

    def run(self, call: Call, query: Query, rows: Rows) -> bytes:
        """Do one statement in a transaction of its own.

        Returns:
            The answer. It is made before COMMIT: one that is too long must not be the end of a change that is done.

        Raises:
            Verdict: the server's error, or ours about its answer.
            Stale: a kept connection had ended before anything of the statement was sent.
            OSError: the connection.
        """

    def end_statement(self, call: Call) -> None:
        """Have the server end what this connection runs."""


class Stale(Exception):
    """A kept connection is of no use; nothing was done."""


def no_tls() -> Verdict:
    """The fault of a server without TLS."""
    return Verdict(
        ErrorClass.TLS,
        "The server offers no TLS; turn it on there, or set settings.tls to `disable` to go on in the clear.",
    )
