from __future__ import annotations

from typing import Any

import pytest

from hub.core.errors import Invalid
from hub.transforms import compile_filter
from hub.transforms.filters import MAX_CONDITIONS

ORDER: dict[str, Any] = {
    "type": "order.paid",
    "data": {
        "id": "ord_1",
        "amount": 150,
        "price": 9.5,
        "paid": True,
        "note": None,
        "customer": {"id": "cus_1", "country": "DE"},
        "tags": ["vip", "new"],
        "items": [{"sku": "a", "price": 3, "sizes": [1, 2]}, {"sku": "b", "price": 12, "sizes": [3]}],
        "matrix": [[1, 2], [3]],
        "a.b": 1,
        "$ref": 2,
        "0": "zero",
    },
}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, True),
        ({"type": "order.paid"}, True),
        ({"type": "order.open"}, False),
        ({"data.amount": {"$eq": 150.0}}, True),
        ({"data.amount": {"$ne": 150}}, False),
        ({"data.absent": {"$ne": 150}}, True),
        ({"data.amount": {"$gt": 149.99}}, True),
        ({"data.amount": {"$gt": 150}}, False),
        ({"data.amount": {"$gte": 150}}, True),
        ({"data.amount": {"$lt": 150}}, False),
        ({"data.amount": {"$lte": 150}}, True),
        ({"data.amount": {"$gt": 100, "$lt": 200}}, True),
        ({"data.amount": {"$gt": 100, "$lt": 120}}, False),
        ({"data.amount": {"$gt": "100"}}, False),
        ({"data.id": {"$gt": "ord_0"}}, True),
        ({"data.id": {"$lt": 5}}, False),
        ({"data.paid": True}, True),
        ({"data.paid": 1}, False),
        ({"data.paid": {"$in": [1, "true"]}}, False),
        ({"data.paid": {"$in": [True]}}, True),
        ({"data.paid": {"$gte": 0}}, False),
        ({"data.note": None}, True),
        ({"data.absent": None}, False),
        ({"data.note": {"$exists": True}}, True),
        ({"data.absent": {"$exists": False}}, True),
        ({"data.absent.deeper": {"$exists": True}}, False),
        ({"data.id.deeper": {"$exists": False}}, True),
        ({"data.customer.country": {"$in": ["AT", "DE"]}}, True),
        ({"data.customer.country": {"$nin": ["AT", "DE"]}}, False),
        ({"data.absent": {"$nin": ["AT"]}}, True),
        ({"data.amount": {"$in": [150.0]}}, True),
        ({"data.note": {"$in": [None]}}, True),
        ({"data.id": {"$startsWith": "ord_"}}, True),
        ({"data.id": {"$endsWith": "_2"}}, False),
        ({"data.id": {"$contains": "rd"}}, True),
        ({"data.amount": {"$contains": "5"}}, False),
        ({"data.id": {"$regex": "^ord_[0-9]+$"}}, True),
        ({"data.id": {"$regex": "D_"}}, False),
        ({"data.id": {"$regex": "(?i)D_"}}, True),
        ({"data.amount": {"$regex": "150"}}, False),
        ({"data.customer": {"$eq": {"country": "DE", "id": "cus_1"}}}, True),
        ({"data.customer": {"$eq": {"country": "DE"}}}, False),
        ({"data.a\\.b": 1}, True),
        ({"data.\\$ref": 2}, True),
        ({"data.0": "zero"}, True),
    ],
    ids=str,
)
def test_a_condition_on_a_value(spec: dict[str, Any], expected: bool) -> None:
    assert compile_filter(spec).matches(ORDER) is expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"data.tags": "vip"}, True),
        ({"data.tags": "old"}, False),
        ({"data.tags": {"$ne": "vip"}}, False),
        ({"data.tags": {"$ne": "old"}}, True),
        ({"data.tags": {"$eq": ["vip", "new"]}}, True),
        ({"data.tags": {"$eq": ["new", "vip"]}}, False),
        ({"data.tags": {"$contains": "vip"}}, True),
        ({"data.tags": {"$in": ["x", "new"]}}, True),
        ({"data.tags": {"$regex": "^n"}}, True),
        ({"data.tags.0": "vip"}, True),
        ({"data.tags.1": "vip"}, False),
        ({"data.tags.2": {"$exists": True}}, False),
        ({"data.items.sku": "b"}, True),
        ({"data.items.sku": "c"}, False),
        ({"data.items.sku": {"$ne": "b"}}, False),
        ({"data.items.1.sku": "b"}, True),
        ({"data.items.0.sku": "b"}, False),
        ({"data.items.sizes": 3}, True),
        ({"data.items.sizes": {"$contains": 3}}, True),
        ({"data.items.price": {"$gt": 5, "$lt": 4}}, True),  # each by another element
        ({"data.items.absent": {"$exists": False}}, True),
        ({"data.matrix.0.1": 2}, True),
        ({"data.matrix": 1}, False),  # elements that are arrays are not entered
        ({"data.matrix": {"$eq": [3]}}, True),
    ],
    ids=str,
)
def test_a_condition_on_an_array_holds_when_any_element_satisfies_it(
    spec: dict[str, Any], expected: bool
) -> None:
    assert compile_filter(spec).matches(ORDER) is expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"$and": [{"type": "order.paid"}, {"data.amount": 150}]}, True),
        ({"$and": [{"type": "order.paid"}, {"data.amount": 151}]}, False),
        ({"$or": [{"type": "x"}, {"data.amount": 150}]}, True),
        ({"$or": [{"type": "x"}, {"data.amount": 151}]}, False),
        ({"$not": {"type": "x"}}, True),
        ({"$not": {"type": "order.paid", "data.amount": 1}}, True),
        ({"data.amount": {"$not": {"$gt": 100}}}, False),
        ({"data.amount": {"$not": {"$gt": 100, "$lt": 120}}}, True),
        ({"data.absent": {"$not": {"$gt": 100}}}, True),
        ({"$or": [{"type": "x"}], "data.amount": 150}, False),
    ],
    ids=str,
)
def test_groups(spec: dict[str, Any], expected: bool) -> None:
    assert compile_filter(spec).matches(ORDER) is expected


def test_large_numbers_are_compared_exactly() -> None:
    large = 2**53 + 1
    assert compile_filter({"n": large}).matches({"n": large})
    assert not compile_filter({"n": large}).matches({"n": float(2**53)})
    assert compile_filter({"n": {"$gt": float(2**53)}}).matches({"n": large})
    assert compile_filter({"n": {"$lt": 1e308}}).matches({"n": 10**300})
    assert not compile_filter({"n": {"$lt": 1e308}}).matches({"n": 10**400})


@pytest.mark.parametrize("document", [None, True, 5, "text", [], {}, [{"type": "order.paid"}], {"type": {}}])
def test_any_document_can_be_judged(document: Any) -> None:
    chosen = compile_filter({"type": "order.paid", "data.x": {"$gt": 5, "$regex": "a"}, "data": {"$ne": {}}})
    assert chosen.matches(document) is False
    assert chosen.explain(document)[0].held is False


def test_text_that_is_no_unicode_is_no_match_for_a_pattern() -> None:
    assert not compile_filter({"a": {"$regex": "^x$"}}).matches({"a": "\ud800"})


def test_a_pattern_reads_no_more_than_its_share_of_a_document() -> None:
    chosen = compile_filter({"a": {"$regex": "x$"}})
    assert chosen.matches({"a": "a" * 65_535 + "x"})
    assert not chosen.matches({"a": "a" * 65_536 + "x"})
    assert not chosen.matches({"a": ["a" * 65_536, "x"]})


def test_a_filter_keeps_its_meaning_when_the_spec_is_changed_later() -> None:
    spec: dict[str, Any] = {"a": {"$eq": {"b": [1]}}}
    chosen = compile_filter(spec)
    spec["a"]["$eq"]["b"].append(2)
    assert chosen.matches({"a": {"b": [1]}})


def test_the_explanation_names_what_was_looked_for_and_what_was_found() -> None:
    chosen = compile_filter(
        {
            "data.amount": {"$gt": 200},
            "$or": [{"data.customer.country": "AT"}, {"data.tags": "vip"}],
            "data.absent": {"$exists": True},
        }
    )
    told = [
        (f.at, f.path, f.operator, f.expected, f.found, f.held)
        for f in sorted(chosen.explain(ORDER), key=lambda f: f.at)
    ]
    assert told == [
        ("filter", "", "$and", None, (), False),
        ("filter.$or", "", "$or", None, (), True),
        ("filter.$or[0].data.customer.country", "data.customer.country", "$eq", "AT", ("DE",), False),
        ("filter.$or[1].data.tags", "data.tags", "$eq", "vip", (["vip", "new"],), True),
        ("filter.data.absent.$exists", "data.absent", "$exists", True, (), False),
        ("filter.data.amount.$gt", "data.amount", "$gt", 200, (150,), False),
    ]


def test_the_explanation_cuts_what_is_long() -> None:
    chosen = compile_filter({"a": 1, "b": 1, "c": 1, "d.x": 1})
    document = {"a": "x" * 500, "b": {"x": 1}, "c": list(range(50)), "d": [{"x": n} for n in range(9)]}
    found = {finding.path: finding.found for finding in chosen.explain(document)}
    assert found[""] == ()
    assert found["a"] == ("x" * 100 + "…",)
    assert found["b"] == ("(object of 1 keys)",)
    assert found["c"] == ("(array of 50)",)
    assert found["d.x"] == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("spec", "place", "message"),
    [
        ([], "filter", "must be an object"),
        ("x", "filter", "must be an object"),
        (None, "filter", "must be an object"),
        ({"a": {"$foo": 1}}, "filter.a.$foo", "is no operator; the operators are $eq"),
        ({"$gt": 5}, "filter.$gt", "stands under a path"),
        ({"$where": "1"}, "filter.$where", "is no operator"),
        ({"a": {"$or": [{"$eq": 1}]}}, "filter.a.$or", "takes whole filters"),
        ({"a": {"b": 1}}, "filter.a.b", "dotted path"),
        ({"a": {"$gt": 1, "b": 1}}, "filter.a.b", "dotted path"),
        ({"a": {}}, "filter.a", "holds no operator"),
        ({"a": [1, 2]}, "filter.a", "$in"),
        ({"a": {"$gt": None}}, "filter.a.$gt", "must be a number or text"),
        ({"a": {"$gt": True}}, "filter.a.$gt", "must be a number or text"),
        ({"a": {"$in": "x"}}, "filter.a.$in", "must be a list"),
        ({"a": {"$nin": []}}, "filter.a.$nin", "1 to 1000 values"),
        ({"a": {"$exists": 1}}, "filter.a.$exists", "true or false"),
        ({"a": {"$startsWith": 1}}, "filter.a.$startsWith", "must be text"),
        ({"a": {"$regex": "("}}, "filter.a.$regex", "missing )"),
        ({"a": {"$regex": r"(a)\1"}}, "filter.a.$regex", "RE2"),
        ({"a": {"$regex": "(?=a)"}}, "filter.a.$regex", "RE2"),
        ({"a": {"$regex": "a" * 600}}, "filter.a.$regex", "over 512 characters"),
        ({"a": {"$regex": "(a{0,100}){0,10}"}}, "filter.a.$regex", "expands too far"),
        ({"a": {"$regex": "\ud800"}}, "filter.a.$regex", "surrogate"),
        ({"a": {"$not": 5}}, "filter.a.$not", "object of operators"),
        ({"$not": []}, "filter.$not", "must be an object"),
        ({"$and": []}, "filter.$and", "one or more filters"),
        ({"$or": {"a": 1}}, "filter.$or", "one or more filters"),
        ({"$and": [{"a": 1}, {"data.amount": {"$gt": []}}]}, "filter.$and[1].data.amount.$gt", "number or text"),
        ({"a..b": 1}, "filter.a..b", "empty name"),
        ({"": 1}, "filter.", "is empty"),
        ({"$.a": 1}, "filter.$.a", "starts with `$.`"),
        ({"a\\x": 1}, "filter.a\\x", "backslash"),
        ({"a\\": 1}, "filter.a\\", "ends with a backslash"),
        ({".".join("a" * 50): 1}, "filter." + ".".join("a" * 50)[:79] + "…", "over 32 names"),
        ({"a": {"$in": ["x" * 20_000]}}, "filter", "over 16384 bytes"),
        ({"a": {"$eq": float("nan")}}, "filter", "not finite"),
        ({"a": {"$eq": {1: 2}}}, "filter", "not text"),
        ({"a": {"$eq": {1, 2}}}, "filter", "holds a set"),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_a_fault_is_named_by_its_place(spec: Any, place: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        compile_filter(spec)
    [fault] = caught.value.fields
    assert fault.path == place
    assert message in fault.message


def test_every_fault_is_told_and_the_field_is_the_callers() -> None:
    with pytest.raises(Invalid) as caught:
        compile_filter({"a": {"$gt": None}, "$or": [{"b": []}]}, field="body.filter")
    assert [fault.path for fault in caught.value.fields] == ["body.filter.a.$gt", "body.filter.$or[0].b"]
    assert "body.filter.a.$gt must be" in caught.value.detail


def test_a_deep_filter_is_refused_without_recursion() -> None:
    spec: dict[str, Any] = {"a": 1}
    for _ in range(100_000):
        spec = {"$not": spec}
    with pytest.raises(Invalid, match="nested deeper than 16"):
        compile_filter(spec)


def test_too_many_conditions_are_refused() -> None:
    compile_filter({"$or": [{"a": n} for n in range(MAX_CONDITIONS)]})
    with pytest.raises(Invalid, match="101 conditions"):
        compile_filter({"$or": [{"a": n} for n in range(MAX_CONDITIONS + 1)]})


def test_patterns_that_are_large_together_are_refused() -> None:
    with pytest.raises(Invalid, match="too large together"):
        compile_filter({"$or": [{"a": {"$regex": f"{n}[a-z]{{100}}"}} for n in range(3)]})
