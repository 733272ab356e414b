"""How fast a replay goes: a token bucket whose tokens are kept with the job. Pure."""

from __future__ import annotations

MAX_RATE = 10_000.0
DEFAULT_RATE = 100.0
#: Deliveries of one step: a transaction that holds the lanes of its endpoints for some milliseconds.
STEP = 500
#: Seconds of the rate that one step is worth: fewer, larger steps cost less.
_STEP_SECONDS = 0.25


def refill(tokens: float, rate: float, elapsed: float) -> float:
    """What may be sent now; no more than a second's worth is ever saved up.

    Args:
        tokens: what was left.
        rate: deliveries a second.
        elapsed: seconds since then.
    """
    return min(max(2.0, rate), tokens + rate * max(0.0, elapsed))


def allowance(tokens: float) -> int:
    """Deliveries that a step may send again."""
    return min(STEP, int(tokens))


def pause(tokens: float, rate: float) -> float:
    """Seconds until the next step is worth it.

    Args:
        tokens: what is left.
        rate: deliveries a second.
    """
    worth = max(1.0, min(STEP, rate * _STEP_SECONDS))
    return max(0.0, (worth - tokens) / rate)
