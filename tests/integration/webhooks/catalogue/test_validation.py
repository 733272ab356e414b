"""The catalogue as processes keep it: what it says, how fresh it is, what it costs."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event

from hub.core.ids import new_uuid
from hub.webhooks.catalogue.validation import Catalogue, Judgement
from tests.integration.webhooks.catalogue.conftest import Shelf

SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}}


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Counted:
    """A catalogue, and how many statements it sent."""

    def __init__(self, engine: Engine) -> None:
        self.clock = Hands()
        self.catalogue = Catalogue(engine, clock=self.clock)
        self.statements = 0
        event.listen(engine, "before_cursor_execute", self._count)

    def _count(self, *_: Any) -> None:
        self.statements += 1

    def check(self, tenant_id: UUID, event_type: str = "invoice.paid", data: Any = None) -> Judgement:
        return self.catalogue.check(tenant_id, event_type, json.dumps(data))


@pytest.fixture
def counted(engine: Engine) -> Counted:
    return Counted(engine)


def said(judgement: Judgement) -> tuple[bool, list[str], list[str], int | None]:
    return (
        judgement.allowed,
        [f"{one.path} {one.message}" for one in judgement.warnings],
        [f"{one.path} {one.message}" for one in judgement.errors],
        judgement.schema_version,
    )


@pytest.mark.parametrize(
    ("validation", "expected"),
    [
        ("off", (True, [], [], None)),
        ("warn", (True, ["data.amount is required"], [], 1)),
        ("enforce", (False, [], ["data.amount is required"], 1)),
    ],
)
def test_validation_decides_what_becomes_of_an_error(
    shelf: Shelf, counted: Counted, validation: str, expected: Any
) -> None:
    shelf.create(schema=SCHEMA, validation=validation)
    assert said(counted.check(shelf.tenant_id, data={})) == expected
    fits = counted.check(shelf.tenant_id, data={"amount": 1})
    assert said(fits) == (True, [], [], expected[3])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (None, (True, [], [], None)),
        ("allow", (True, [], [], None)),
        ("warn", (True, ["type is not in the catalogue of event types"], [], None)),
        ("enforce", (False, [], ["type is not in the catalogue of event types"], None)),
    ],
)
def test_the_tenant_decides_what_becomes_of_unknown_types(
    shelf: Shelf, counted: Counted, policy: str | None, expected: Any
) -> None:
    shelf.create()
    shelf.create("old.one")
    shelf.archive("old.one")
    if policy is not None:
        shelf.choose(unknown_event_types=policy)
    assert said(counted.check(shelf.tenant_id, "new.one")) == expected
    assert said(counted.check(shelf.tenant_id, "old.one")) == expected
    assert said(counted.check(shelf.tenant_id, "invoice.paid")) == (True, [], [], None)


def test_a_deprecated_type_is_a_warning(shelf: Shelf, counted: Counted) -> None:
    shelf.create(deprecated=True)
    assert said(counted.check(shelf.tenant_id)) == (True, ["type is deprecated"], [], None)


@pytest.mark.parametrize(
    "text", ["{", "1e999", "NaN", "[" * 100_000, "1" * 5000], ids=["cut", "inf", "nan", "deep", "long"]
)
def test_data_that_cannot_be_read_is_an_error_and_not_a_fault(
    shelf: Shelf, engine: Engine, text: str
) -> None:
    shelf.create(schema=True, validation="enforce")
    judgement = Catalogue(engine).check(shelf.tenant_id, "invoice.paid", text)
    assert not judgement.allowed
    assert judgement.errors[0].path == "data"


def test_the_database_is_asked_once_a_second_and_loads_only_what_changed(
    shelf: Shelf, other: Shelf, counted: Counted
) -> None:
    shelf.create(schema=SCHEMA, validation="enforce")

    def cost(*tenants: UUID) -> int:
        before = counted.statements
        for tenant in tenants:
            counted.check(tenant, data={"amount": 1})
        return counted.statements - before

    assert cost(shelf.tenant_id) == 4  # versions, policies, types, schemas
    assert cost(*[shelf.tenant_id] * 50) == 0
    assert cost(other.tenant_id) == 3
    assert cost(other.tenant_id) == 0
    counted.clock.now += 1.0
    # One statement for both: they were in use.
    assert cost(shelf.tenant_id, other.tenant_id) == 1
    shelf.change(title="New")
    counted.clock.now += 1.0
    assert cost(shelf.tenant_id, other.tenant_id) == 3  # the schema is compiled already
    shelf.publish({"required": ["total"]})
    counted.clock.now += 0.9
    assert counted.check(shelf.tenant_id, data={"amount": 1}).schema_version == 1
    counted.clock.now += 0.1
    judgement = counted.check(shelf.tenant_id, data={"amount": 1})
    assert (judgement.schema_version, judgement.allowed) == (2, False)


def test_a_tenant_that_is_not_in_use_is_not_asked_for(shelf: Shelf, other: Shelf, counted: Counted) -> None:
    counted.check(shelf.tenant_id)
    counted.check(other.tenant_id)
    asked: list[Any] = []
    event.listen(
        shelf.engine, "before_cursor_execute", lambda _c, _u, _s, parameters, *_: asked.append(parameters)
    )
    counted.clock.now += 1
    counted.check(shelf.tenant_id)
    counted.clock.now += 1
    counted.check(shelf.tenant_id)
    assert [parameters["ids"] for parameters in asked][-1] == [shelf.tenant_id]


def test_memory_never_asks_and_says_when_it_does_not_know(shelf: Shelf, counted: Counted) -> None:
    from_memory = counted.catalogue.check_from_memory
    assert from_memory(shelf.tenant_id, "a", "1") is None
    counted.check(shelf.tenant_id)
    before = counted.statements
    assert from_memory(shelf.tenant_id, "a", "1") == Judgement(allowed=True)
    counted.clock.now += 1
    assert from_memory(shelf.tenant_id, "a", "1") is None
    assert counted.statements == before


def test_one_caller_renews_what_the_others_go_on_to_use(shelf: Shelf, counted: Counted) -> None:
    from_memory = counted.catalogue.check_from_memory
    counted.check(shelf.tenant_id)
    counted.clock.now += 0.5
    assert from_memory(shelf.tenant_id, "a", "1") is None
    assert from_memory(shelf.tenant_id, "a", "1") == Judgement(allowed=True)
    before = counted.statements
    counted.check(shelf.tenant_id)
    assert counted.statements == before + 1
    counted.clock.now += 0.4
    assert from_memory(shelf.tenant_id, "a", "1") == Judgement(allowed=True)


def test_tenants_are_judged_by_their_own_catalogue(shelf: Shelf, other: Shelf, counted: Counted) -> None:
    shelf.create(schema=SCHEMA, validation="enforce")
    other.create(schema={"required": ["total"]}, validation="enforce")
    other.choose(unknown_event_types="enforce")
    assert counted.check(shelf.tenant_id, data={"amount": 1}).allowed
    assert not counted.check(other.tenant_id, data={"amount": 1}).allowed
    assert counted.check(shelf.tenant_id, "any.thing").allowed
    assert counted.check(new_uuid(), "any.thing").allowed


def test_threads_share_one_question(shelf: Shelf, counted: Counted) -> None:
    shelf.create(schema=SCHEMA, validation="enforce")
    before = counted.statements
    with ThreadPoolExecutor(16) as pool:
        judgements = list(
            pool.map(
                lambda n: counted.check(shelf.tenant_id, data={"amount": n if n % 2 else ""}), range(200)
            )
        )
    assert [one.allowed for one in judgements] == [bool(n % 2) for n in range(200)]
    assert counted.statements - before == 4


def test_the_least_used_tenants_are_forgotten_first(
    shelf: Shelf, other: Shelf, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.webhooks.catalogue.validation.MAX_TENANTS", 2)
    counted.check(shelf.tenant_id)
    counted.check(other.tenant_id)
    counted.clock.now += 1
    counted.check(shelf.tenant_id)
    counted.check(new_uuid())
    assert counted.catalogue.check_from_memory(shelf.tenant_id, "a", "1") is not None
    assert counted.catalogue.check_from_memory(other.tenant_id, "a", "1") is None
