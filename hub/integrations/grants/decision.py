"""What to do about a grant, decided from what is stored of it. Pure.

needs no renewal ─────────────────────────────▶ SERVE
refused before, and asking again is the same ─▶ STOP     (SERVE while the token lives)
only a person can give it ────────────────────▶ STOP     (SERVE while the token lives)
somebody renews it now ───────────────────────▶ WAIT     (SERVE while the token lives)
the provider did not answer a moment ago ─────▶ REST     (SERVE while the token lives)
else ─────────────────────────────────────────▶ RENEW    (others go on with the old token meanwhile)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from hub.integrations.grants.grant import Grant
    from hub.integrations.grants.holder import Holder

#: Part of a token's life after which it is renewed, and how much earlier or later that may be: many tokens that were
#: got in one minute are not renewed in one.
REFRESH_AT = 0.8
_JITTER = 0.05
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 300.0
#: Failures in a row, of which the last does not pass by itself, after which a person has to look: an address that is
#: wrong answers 404 or a redirect for ever, a login with a wrong password answers 200 without a token until the account
#: is locked; a firewall that is upset answers 403 for a while.
GIVE_UP_AFTER = 5


class Do(Enum):
    """What to do."""

    SERVE = "serve"
    RENEW = "renew"
    WAIT = "wait"
    REST = "rest"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Step:
    """A decision.

    Args:
        do: what.
        seconds: how long to wait or rest.
        reason: why it stops, for a person.
        mark: the stored state says less than that, and is to be changed to `needs_reauth`.
    """

    do: Do
    seconds: float = 0.0
    reason: str = ""
    mark: bool = False


def serves(grant: Grant, holder: Holder) -> bool:
    """Whether calls may carry the stored token."""
    ours = grant.access_id is not None and grant.basis == holder.basis
    return ours and not grant.rejected and grant.serves_for > 0


def decide(grant: Grant, holder: Holder, *, forced: bool = False) -> Step:
    """The next step.

    Args:
        grant: as it was read.
        holder: whose it is.
        forced: a person asks for a renewal now.
    """
    live = serves(grant, holder)
    if live and grant.refresh_in > 0 and not forced:
        return Step(Do.SERVE)
    step = _renewal(grant, holder, forced=forced)
    return Step(Do.SERVE) if live and step.do is not Do.RENEW and not forced else step


def _renewal(grant: Grant, holder: Holder, *, forced: bool) -> Step:
    ours = grant.basis == holder.basis
    if grant.state == "needs_reauth" and grant.refused_with == holder.asked and not forced:
        return Step(Do.STOP, reason=grant.last_error or "The provider refused access. Authorize it again.")
    if holder.by_people and holder.given_refresh_token is None and not (ours and grant.refresh_id):
        reason = _why_a_person(grant, ours=ours)
        return Step(Do.STOP, reason=reason, mark=grant.state == "active")
    if grant.lease_left > 0:
        return Step(Do.WAIT, grant.lease_left)
    if grant.rest_left > 0 and not forced:
        return Step(Do.REST, grant.rest_left, grant.last_error or "The token endpoint does not answer.")
    return Step(Do.RENEW)


def _why_a_person(grant: Grant, *, ours: bool) -> str:
    if grant.access_id is None:
        return "The integration has not been authorized yet."
    if not ours:
        return "The integration was given other settings than those that were authorized. Authorize it again."
    what = "The service refused the access token" if grant.rejected else "The access token has ended"
    return f"{what}, and the provider gave no refresh token. Authorize the integration again."


def refresh_after(life: float, rng: Random) -> float:
    """Seconds from a token's birth to its renewal.

    Args:
        life: seconds.
        rng: jitter.
    """
    return life * (REFRESH_AT + _JITTER * (2 * rng.random() - 1))


def pause_after(failures: int, asked: float | None, rng: Random) -> float:
    """Seconds to leave a token endpoint alone that did not answer well.

    Args:
        failures: in a row, before this one.
        asked: by its `Retry-After`, in seconds.
        rng: jitter, added.
    """
    pause = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 16), _LONGEST_PAUSE_SECONDS)
    pause = max(pause, min(asked or 0.0, _LONGEST_PAUSE_SECONDS))
    return pause * (1 + 0.25 * rng.random())
