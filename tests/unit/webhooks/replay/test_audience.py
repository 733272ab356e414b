from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hub.core.ids import new_uuid
from hub.webhooks.replay import audience
from hub.webhooks.replay.audience import Audience, Member


def member(**fields: Any) -> Member:
    row = {"id": new_uuid(), "kind": "events", "event_types": ["*"], "labels": [], "filter": None}
    return Member.of(SimpleNamespace(**row | fields))  # type: ignore[arg-type]


def of(*members: Member) -> Audience:
    return Audience({one.id: one for one in members})


def test_endpoints_follow_each_other_by_id() -> None:
    first, second, third = (member() for _ in range(3))
    found = of(third, first, second)
    assert found.after(None) == first.id
    assert found.after(first.id) == second.id
    assert found.after(third.id) is None
    assert [found.passed(one.id) for one in (first, second, third)] == [0, 1, 2]


def test_one_that_is_gone_is_followed_by_the_next() -> None:
    first, gone, third = (member() for _ in range(3))
    found = of(first, third)
    assert found.after(gone.id) == third.id
    assert found.passed(gone.id) == 1


def test_takers_subscribe_to_the_type_and_are_of_the_kind() -> None:
    every, some, operator = member(), member(event_types=["a.*"]), member(kind="operations")
    found = of(every, some, operator)
    assert found.takers("http", "a.b") == (every, some)
    assert found.takers("http", "b.b") == (every,)
    assert found.takers("hub", "a.b") == (operator,)


def test_endless_types_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "_MAX_TYPES", 10)
    found = of(member())
    for n in range(100):
        assert len(found.takers("http", f"a.{n}")) == 1
    assert len(found._by_type) <= 10


def test_labels_and_broken_filters_decide() -> None:
    assert member().wants([])
    assert member(labels=["eu"]).wants(["eu", "us"])
    assert not member(labels=["eu"]).wants(["us"])
    assert not member(filter={"$no": 1}).wants([])
    assert member(filter={"data.n": 1}).filter is not None
