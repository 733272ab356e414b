"""How far one call has come, and how long each step took."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from hub.net.outcome import Timings


class Phase(Enum):
    """How far the call has come; it decides what a fault means."""

    DNS = "resolving the name"
    CONNECT = "connecting"
    TLS = "the TLS handshake"
    SEND = "sending the request"
    WAIT = "waiting for the answer"
    BODY = "reading the answer"


@dataclass(slots=True)
class Trace:
    """Of one exchange; whoever takes a step notes it here.

    Args:
        phase: the step that is being taken.
        timings: of the steps that were.
        peer: the IP address that answered.
    """

    phase: Phase = Phase.DNS
    timings: Timings = field(default_factory=Timings)
    peer: str | None = None
