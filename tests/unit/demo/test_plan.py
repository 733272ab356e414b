"""What the demo sends: as much as it says, each piece with one known end."""

from __future__ import annotations

from collections import Counter

from hub.demo import plan
from hub.integrations.registry.definition import draft_create
from hub.webhooks.matching import matches


def test_there_are_two_hundred_calls_with_names_of_their_own() -> None:
    calls = plan.calls()
    assert len({call.name for call in calls}) == len(calls) == 200
    assert Counter(call.kind for call in calls) == {kind: kind.count for kind in plan.KINDS}


def test_every_call_is_of_an_operation_that_exists() -> None:
    known = plan.integrations("http://127.0.0.1:1")
    assert all(kind.operation in known[kind.integration]["operations"] for kind in plan.KINDS)


def test_the_api_takes_every_integration() -> None:
    for fields in plan.integrations("http://127.0.0.1:1").values():
        assert draft_create(fields).faults == ()


def test_every_kind_of_authentication_is_used() -> None:
    used = {(one["auth"]["mode"], one["auth"].get("in")) for one in plan.integrations("http://x").values()}
    assert used == {
        ("none", None),
        ("basic", None),
        ("bearer", None),
        ("api_key", "header"),
        ("api_key", "query"),
    }


def test_there_are_two_thousand_events_of_several_types() -> None:
    events = plan.events()
    assert len({event.id for event in events}) == len(events) == 2000
    assert {event.type for event in events} == set(plan.EVENT_TYPES)


def test_what_the_demo_expects_of_a_pattern_is_what_the_hub_makes_of_it() -> None:
    for receiver in plan.RECEIVERS:
        taken = {name for name in plan.EVENT_TYPES if receiver.takes(name)}
        assert taken == {name for name in plan.EVENT_TYPES if matches(receiver.patterns, name)}
        assert taken
