from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hub.core.errors import Invalid
from hub.core.ids import new_uuid
from hub.db.states import FINISHED, State
from hub.webhooks.replay.criteria import Criteria


def criteria(**fields: Any) -> Criteria:
    row = {
        "tenant_id": new_uuid(), "kind": "failed", "endpoint_id": None, "since": datetime(2026, 1, 1, tzinfo=UTC),
        "until": datetime(2026, 1, 2, tzinfo=UTC), "states": ["failed"], "event_types": [], "labels": [],
        "response": [], "filter": None,
    }  # fmt: skip
    return Criteria.of(SimpleNamespace(**row | fields))


def test_without_conditions_every_event_is_taken() -> None:
    assert criteria().takes("a.b", [])
    assert not criteria().about_events


def test_types_and_labels_must_both_fit() -> None:
    both = criteria(event_types=["a.*"], labels=["eu", "us"])
    assert both.about_events
    assert both.takes("a.b", ["us", "x"])
    assert not both.takes("a.b", ["x"])
    assert not both.takes("b.b", ["us"])


@pytest.mark.parametrize(
    ("response", "status", "expected"),
    [
        (["5xx"], 503, True), (["5xx"], 404, False), (["404"], 404, True), (["404"], 405, False),
        (["none"], None, True), (["none"], 500, False), (["5xx"], None, False), (["none", "2xx"], 204, True),
    ],
)  # fmt: skip
def test_answers_are_told_by_class_number_or_absence(
    response: list[str], status: int | None, expected: bool
) -> None:
    assert criteria(response=response).answered_so(status) is expected


def test_a_state_is_what_the_kind_allows() -> None:
    assert criteria(states=["done", "skipped"]).states == {State.DONE, State.SKIPPED}
    assert criteria(kind="all", states=[]).states == FINISHED
    assert criteria(kind="missing", states=[]).states == frozenset()


def test_a_filter_that_is_wrong_is_named() -> None:
    with pytest.raises(Invalid) as refused:
        criteria(filter={"data.n": {"$no": 1}})
    assert [field.path for field in refused.value.fields] == ["filter.data.n.$no"]
