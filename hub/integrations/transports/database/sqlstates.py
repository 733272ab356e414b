"""What an SQLSTATE means for the call that it ended."""

from __future__ import annotations

from hub.integrations.transports.dialled import Verdict
from hub.net.outcome import ErrorClass

# Rolled back by the server, a lock that was not to be had, the server is starting or stopping, or ended the session.
_BUSY = frozenset({"40000", "40001", "40P01", "55P03", "57P01", "57P02", "57P03", "57P05"})


def classify(sqlstate: str) -> ErrorClass:
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


def error(error_class: ErrorClass, text: str, sqlstate: str, details: dict[str, str | int]) -> Verdict:
    """An error that the server reported; its code is the header `sqlstate`."""
    return Verdict(error_class, text, headers={"sqlstate": sqlstate[:5]}, details=details)
