"""The life of a unit of work, as a table. Pure: the ledger's SQL and its state-machine test both follow it.

due ──claim──▶ leased ──▶ done | failed | expired | skipped
 ▲               │
 │◀── retry, hand back, lapse (attempt interrupted) ──┘
 ├──▶ held  (paused, disabled, breaker open, over a limit, quarantined; costs no attempt) ──resume──▶ due
 └──▶ cancelled; any finished state ──revive (resend)──▶ due
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a row stands."""

    DUE = "due"
    LEASED = "leased"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SKIPPED = "skipped"

    @property
    def finished(self) -> bool:
        """Nothing will happen any more unless somebody revives the row."""
        return self not in _LIVE


_LIVE = frozenset({State.DUE, State.LEASED, State.HELD})
FINISHED = frozenset(State) - _LIVE

#: from → to. `leased → leased` does not exist: a second claim needs the row to be due again first.
TRANSITIONS: dict[State, frozenset[State]] = {
    # due → due: a resend makes a row that waits for its retry due at once.
    State.DUE: frozenset(
        {State.DUE, State.LEASED, State.HELD, State.CANCELLED, State.EXPIRED, State.SKIPPED}
    ),
    State.LEASED: frozenset(State) - {State.LEASED},
    State.HELD: frozenset({State.DUE, State.CANCELLED, State.EXPIRED, State.SKIPPED}),
    **{finished: frozenset({State.DUE}) for finished in FINISHED},
}

#: Leases that lapsed in a row before a row is quarantined: it may be what kills its workers.
QUARANTINE_AFTER = 3
QUARANTINED = "quarantined"
