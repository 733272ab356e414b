from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from hub.core.clock import SystemClock
from hub.core.errors import Unavailable
from hub.webhooks.streaming import response
from hub.webhooks.streaming.response import Audience, Streams, TooManyStreams, _slices


def head(size: int = 1, **fields: Any) -> Any:
    return SimpleNamespace(
        id=uuid4(), size=size, **{"type": "invoice.paid", "source": "http", "labels": None, **fields}
    )


def test_events_are_read_in_slices_of_a_bounded_size() -> None:
    heads = [head(600_000), head(600_000), head(5_000_000), head(10), *(head() for _ in range(250))]
    slices = list(_slices(heads))
    assert [len(one) for one in slices] == [1, 1, 1, 100, 100, 51]
    assert [key for one in slices for key in one] == [one.id for one in heads]
    assert list(_slices([])) == []


@pytest.mark.parametrize(
    ("audience", "fields", "taken"),
    [
        (Audience(), {}, True),
        (Audience(("invoice.*",)), {}, True),
        (Audience(("order.*", "invoice")), {}, False),
        (Audience(labels=frozenset({"eu"})), {"labels": ["us", "eu"]}, True),
        (Audience(labels=frozenset({"eu"})), {"labels": None}, False),
        (Audience(kind="events"), {"source": "hub"}, False),
        (Audience(kind="operations"), {"source": "hub"}, True),
        (Audience(kind="operations"), {}, False),
    ],
    ids=["all", "prefix", "other type", "label", "no label", "events only", "operations", "not an operation"],
)
def test_an_audience_chooses_as_an_endpoint_does(
    audience: Audience, fields: dict[str, Any], taken: bool
) -> None:
    assert audience.takes(head(**fields)) is taken


def test_places_are_limited_for_a_tenant_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "MAX_PER_TENANT", 1)
    monkeypatch.setattr(response, "MAX_STREAMS", 2)
    streams = Streams(None, SystemClock())  # type: ignore[arg-type]
    one, two, three = (UUID(int=n) for n in range(3))
    with streams.place(one):
        with pytest.raises(TooManyStreams), streams.place(one):
            pass
        with streams.place(two), pytest.raises(Unavailable), streams.place(three):
            pass
        with streams.place(three):
            pass
    streams.ending.set()
    with pytest.raises(Unavailable), streams.place(one):
        pass
