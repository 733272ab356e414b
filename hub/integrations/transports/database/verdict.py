"""What ends a call when it was not the network: the database's own error, or ours about its answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hub.net.outcome import ErrorClass, Outcome, safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.net.trace import Trace


class Verdict(Exception):
    """A call ended, and this is why.

    Args:
        error_class: for the outcome.
        message: a sentence for a person.
        sqlstate: the five characters of the SQL standard, when the server said them.
        details: what else the server said.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        message: str,
        *,
        sqlstate: str = "",
        details: Mapping[str, str | int] | None = None,
    ) -> None:
        super().__init__(message)
        self.error_class = error_class
        self.message = message
        self.sqlstate = sqlstate
        self.details = dict(details or {})

    def outcome(self, trace: Trace, max_bytes: int) -> Outcome:
        """The same as the outcome of the call, with what the server said as its body."""
        headers, body = {}, b""
        if self.sqlstate:
            headers = {"sqlstate": safe_text(self.sqlstate, 5)}
        if self.details:
            headers["content-type"] = "application/json"
            body = json.dumps({"error": self.details}, ensure_ascii=False).encode()
        truncated = len(body) > max_bytes
        return Outcome(
            None,
            self.error_class,
            safe_text(self.message),
            headers=headers,
            body=body[:max_bytes],
            truncated=truncated,
            timings=trace.timings,
            peer=trace.peer,
        )


# Rolled back by the server, a lock that was not to be had, or the server is starting or stopping.
_BUSY = frozenset({"40000", "40001", "40P01", "55P03", "57P01", "57P02", "57P03"})


def by_sqlstate(sqlstate: str) -> ErrorClass:
    """The class of an error that the server reported before it committed anything.

    Codes: PostgreSQL 18, Appendix A; the same classes in MySQL. Busy means surely not done, and worth a repetition.
    """
    if sqlstate.startswith("28"):
        return ErrorClass.UNAUTHORIZED
    if sqlstate.startswith("53") or sqlstate in _BUSY:
        return ErrorClass.PROVIDER_BUSY
    if sqlstate == "57014":  # query_canceled: our statement_timeout did it
        return ErrorClass.TIMEOUT
    return ErrorClass.PROVIDER_ERROR
