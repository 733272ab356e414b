from __future__ import annotations

from random import Random
from typing import Any

import pytest

from hub.integrations.grants.decision import Do, decide, pause_after, refresh_after
from tests.unit.integrations.grants.holders import DUE, ENDED, NOTHING, grant, holder

MACHINE = holder()
PERSON = holder(grant="authorization_code", authorize_url="https://auth.example/authorize")
GIVEN = holder(grant="refresh_token", secrets={"refresh_token": "given"})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Do.SERVE),
        (DUE, Do.RENEW),
        (ENDED, Do.RENEW),
        ({"rejected": True}, Do.RENEW),
        (NOTHING, Do.RENEW),
        ({"basis": "of other settings"}, Do.RENEW),
        ({**DUE, "lease_left": 5.0}, Do.SERVE),
        ({**ENDED, "lease_left": 5.0}, Do.WAIT),
        ({**DUE, "rest_left": 5.0}, Do.SERVE),
        ({**ENDED, "rest_left": 5.0}, Do.REST),
        ({**ENDED, "state": "needs_reauth", "refused_with": MACHINE.asked}, Do.STOP),
        ({**DUE, "state": "needs_reauth", "refused_with": MACHINE.asked}, Do.SERVE),
        ({**ENDED, "state": "needs_reauth", "refused_with": "other settings"}, Do.RENEW),
    ],
    ids=[
        "fresh", "due", "ended", "rejected", "nothing", "other settings", "due while another renews",
        "ended while another renews", "due while resting", "ended while resting", "refused", "refused but alive",
        "refused with other settings",
    ],
)  # fmt: skip
def test_tokens_that_the_hub_gets_by_itself(changes: dict[str, Any], expected: Do) -> None:
    assert decide(grant(MACHINE, **changes), MACHINE).do is expected


@pytest.mark.parametrize(
    ("changes", "expected", "mark"),
    [
        (ENDED, Do.RENEW, False),
        (NOTHING, Do.STOP, False),
        ({**ENDED, "refresh_id": None}, Do.STOP, True),
        ({"rejected": True, "refresh_id": None}, Do.STOP, True),
        ({**DUE, "refresh_id": None}, Do.SERVE, False),
        ({"basis": "of other settings"}, Do.STOP, True),
    ],
    ids=[
        "ended",
        "never given",
        "ended for good",
        "refused for good",
        "about to end for good",
        "other settings",
    ],
)
def test_tokens_that_a_person_grants(changes: dict[str, Any], expected: Do, mark: bool) -> None:
    step = decide(grant(PERSON, **changes), PERSON)
    assert (step.do, step.mark) == (expected, mark)
    assert step.reason or expected is not Do.STOP


def test_a_given_refresh_token_needs_no_person() -> None:
    assert decide(grant(GIVEN, **NOTHING), GIVEN).do is Do.RENEW


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Do.RENEW),
        ({"rest_left": 60.0}, Do.RENEW),
        ({"state": "needs_reauth", "refused_with": PERSON.asked}, Do.RENEW),
        ({"lease_left": 5.0}, Do.WAIT),
        ({"refresh_id": None}, Do.STOP),
    ],
    ids=["fresh", "resting", "refused", "another renews", "cannot"],
)
def test_what_a_person_asks_for_is_tried(changes: dict[str, Any], expected: Do) -> None:
    assert decide(grant(PERSON, **changes), PERSON, forced=True).do is expected


def test_renewals_are_spread_around_four_fifths_of_a_life() -> None:
    found = [refresh_after(1000, Random(seed)) for seed in range(200)]
    assert min(found) >= 750
    assert max(found) <= 850
    assert max(found) - min(found) > 80


def test_pauses_double_up_to_five_minutes_and_honour_the_provider() -> None:
    def pause(failures: int, asked: float | None = None) -> float:
        return pause_after(failures, asked, Random(1))

    assert [round(pause(n) / pause(0)) for n in range(4)] == [1, 2, 4, 8]
    assert pause(1000) <= 300 * 1.25
    assert pause(0, 120) >= 120
    assert pause(0, 99_999) <= 300 * 1.25
