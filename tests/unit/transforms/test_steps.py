from __future__ import annotations

import copy
from typing import Any

import pytest

from hub.core.errors import Invalid
from hub.transforms import Cancelled, StepFailed, Transformed, compile_steps
from hub.transforms.steps import MAX_STEPS

EVENT: dict[str, Any] = {
    "type": "order.paid",
    "data": {
        "id": 7,
        "amount": "12.50",
        "customer": {"name": " Ada ", "email": "ADA@x.org"},
        "items": [{"sku": "a", "qty": 1, "cost": 3}, {"sku": "b", "qty": 2, "cost": 4}],
        "tags": ["Vip", "New"],
        "note": None,
        "large": 123456789012345678901234567890,
    },
}


def run(steps: list[dict[str, Any]], document: Any = EVENT) -> Any:
    before = copy.deepcopy(document)
    result = compile_steps(steps).run(document, None)
    assert document == before
    assert isinstance(result, Transformed)
    return result.document


@pytest.mark.parametrize(
    ("step", "document", "expected"),
    [
        ({"pick": ["a", "b.c", "x.y"]}, {"a": 1, "b": {"c": 2, "d": 3}, "e": 4}, {"a": 1, "b": {"c": 2}}),
        ({"pick": ["i.s"]}, {"i": [{"s": 1, "t": 2}, 5, {"t": 3}]}, {"i": [{"s": 1}, {}]}),
        ({"pick": ["i.1.s", "i.0"]}, {"i": [{"s": 1, "t": 2}, {"s": 3, "t": 4}, {"s": 5}]}, {"i": [{"s": 1, "t": 2}, {"s": 3}]}),
        ({"pick": ["a.b", "a"]}, {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"pick": ["a.b"]}, {"a": 5}, {}),
        ({"omit": ["a", "b.c", "x.y"]}, {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3}}),
        ({"omit": ["i.s"]}, {"i": [{"s": 1, "t": 2}, 5]}, {"i": [{"t": 2}, 5]}),
        ({"omit": ["i.0", "i.1"]}, {"i": [1, 2, 3]}, {"i": [3]}),
        ({"omit": ["i.1.s"]}, {"i": [{"s": 1}, {"s": 2}]}, {"i": [{"s": 1}, {}]}),
        ({"omit": ["a.b"]}, {"a": "text"}, {"a": "text"}),
        ({"rename": {"a": "b"}}, {"a": 1}, {"b": 1}),
        ({"rename": {"a": "b", "b": "a"}}, {"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({"rename": {"a.b": "c.d.e"}}, {"a": {"b": 1}}, {"a": {}, "c": {"d": {"e": 1}}}),
        ({"rename": {"x": "y"}}, {"a": 1}, {"a": 1}),
        ({"rename": {"i.0": "first"}}, {"i": [1, 2]}, {"i": [2], "first": 1}),
        ({"nest": {"address": ["street", "a.city", "zip"]}}, {"street": "S", "a": {"city": "C"}}, {"a": {}, "address": {"street": "S", "city": "C"}}),
        ({"nest": {"a": ["a.b"]}}, {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"set": {"a.b": [1]}}, {}, {"a": {"b": [1]}}),
        ({"set": {"a.b": 1}}, {"a": None}, {"a": {"b": 1}}),
        ({"set": {"i.x": 1}}, {"i": [{}, {"x": 2}, 3]}, {"i": [{"x": 1}, {"x": 1}, 3]}),
        ({"set": {"i.1": 9}}, {"i": [1, 2, 3]}, {"i": [1, 9, 3]}),
        ({"default": {"a": 1, "b": 1, "c": 1}}, {"a": 0, "b": None}, {"a": 0, "b": 1, "c": 1}),
        ({"default": {"i.x": 1}}, {"i": [{}, {"x": 2}]}, {"i": [{"x": 1}, {"x": 2}]}),
        ({"flatten": {}}, {"a": {"b": {"c": 1}, "d": []}, "e": {}, "f": 2}, {"a_b_c": 1, "a_d": [], "e": {}, "f": 2}),
        ({"flatten": {"path": "x", "separator": "."}}, {"x": {"a": {"b": 1}}}, {"x": {"a.b": 1}}),
        ({"flatten": {"path": "x"}}, {"y": 1}, {"y": 1}),
        ({"lower": ["a", "t", "n", "x"]}, {"a": "AB", "t": ["C", None], "n": None}, {"a": "ab", "t": ["c", None], "n": None}),
        ({"upper": ["i.s"]}, {"i": [{"s": "a"}, {"s": "ß"}]}, {"i": [{"s": "A"}, {"s": "SS"}]}),
        ({"trim": ["a"]}, {"a": " \tx\n"}, {"a": "x"}),
        ({"cast": {"a": "string", "b": "number", "c": "integer", "d": "boolean"}}, {"a": 1.5, "b": "1e2", "c": "12", "d": "TRUE"}, {"a": "1.5", "b": 100.0, "c": 12, "d": True}),
        ({"cast": {"a": "string"}}, {"a": [1, True, "x", None]}, {"a": ["1", "true", "x", None]}),
        ({"cast": {"a": "integer"}}, {"a": "123456789012345678901234567890"}, {"a": 123456789012345678901234567890}),
        ({"date_format": {"path": "t", "to": "%d.%m.%Y"}}, {"t": "2030-12-31T23:00:00Z"}, {"t": "31.12.2030"}),
        ({"date_format": {"path": "t", "to": "iso", "from": "unix"}}, {"t": [0, 1.5]}, {"t": ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01.500000Z"]}),
        ({"template": {"t": "{{ a }}-{{b.0}}"}}, {"a": 1, "b": ["x"]}, {"a": 1, "b": ["x"], "t": "1-x"}),
        ({"template": {"a": "{{ b }}", "b": "{{ a }}"}}, {"a": {"x": 1}, "b": [2]}, {"a": [2], "b": {"x": 1}}),
        ({"template": {"t": "{{n}}|{{t}}|{{o}}|{{f}}"}}, {"n": None, "t": True, "o": {"ä": [1]}, "f": 1.5}, {"n": None, "t": '|true|{"ä":[1]}|1.5', "o": {"ä": [1]}, "f": 1.5}),
        ({"map": {"path": "i", "steps": [{"pick": ["s"]}, {"set": {"k": 1}}]}}, {"i": [{"s": 1, "t": 2}, {}]}, {"i": [{"s": 1, "k": 1}, {"k": 1}]}),
        ({"map": {"path": "i.j", "steps": [{"rename": {"a": "b"}}]}}, {"i": [{"j": [{"a": 1}]}, {"j": None}, {}]}, {"i": [{"j": [{"b": 1}]}, {"j": None}, {}]}),
    ],
    ids=lambda value: str(value)[:60].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_a_step(step: dict[str, Any], document: Any, expected: Any) -> None:
    assert run([step], document) == expected


def test_steps_follow_each_other() -> None:
    assert run(
        [
            {"trim": ["data.customer.name"]},
            {"lower": ["data.customer.email"]},
            {"cast": {"data.amount": "number"}},
            {"map": {"path": "data.items", "steps": [{"omit": ["cost"]}]}},
            {"template": {"title": "{{ data.customer.name }} bought {{ data.items.0.sku }}"}},
            {"pick": ["title", "data.amount", "data.items", "data.customer.email"]},
        ]
    ) == {
        "title": "Ada bought a",
        "data": {
            "amount": 12.5,
            "items": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 2}],
            "customer": {"email": "ada@x.org"},
        },
    }


def test_no_steps_give_the_document_as_it_is() -> None:
    assert compile_steps([]).run(EVENT, None) == Transformed(EVENT, {})


def test_numbers_stay_as_they_are() -> None:
    result = run(
        [{"pick": ["data.large"]}, {"template": {"text": "{{ data.large }}!", "copy": "{{data.large}}"}}]
    )
    assert result["copy"] == 123456789012345678901234567890
    assert result["text"] == "123456789012345678901234567890!"


def test_a_changed_result_changes_neither_the_steps_nor_other_places() -> None:
    pipeline = compile_steps([{"set": {"i.x": {"n": []}}}])
    document: dict[str, Any] = {"i": [{}, {}]}
    first = pipeline.run(document, None)
    assert isinstance(first, Transformed)
    first.document["i"][0]["x"]["n"].append(1)
    assert first.document["i"][1] == {"x": {"n": []}}
    assert pipeline.run(document, None) == Transformed({"i": [{"x": {"n": []}}, {"x": {"n": []}}]}, {})


def test_a_step_is_not_changed_by_later_changes_of_its_spec() -> None:
    spec: list[dict[str, Any]] = [{"set": {"a": [1]}}]
    pipeline = compile_steps(spec)
    spec[0]["set"]["a"].append(2)
    assert pipeline.run({}, None) == Transformed({"a": [1]}, {})


@pytest.mark.parametrize(
    ("step", "document", "message"),
    [
        ({"pick": ["a"]}, "text", "the document is text"),
        ({"set": {"a.b": 1}}, {"a": "secret"}, "`a.b` cannot be put there: text is in the way"),
        ({"set": {"a.5": 1}}, {"a": [1]}, "has only 1 elements"),
        ({"set": {"a": 1}}, 5, "a number is in the way"),
        ({"rename": {"i.a": "b"}}, {"i": [{"a": 1}]}, "use `map`"),
        ({"flatten": {"path": "a"}}, {"a": [1]}, "an array cannot be flattened"),
        ({"flatten": {}}, {"a_b": 1, "a": {"b": 2}}, "two values would be named `a_b`"),
        ({"lower": ["a"]}, {"a": 5}, "at `a` a number is there, not text"),
        ({"trim": ["a.b"]}, {"a": [{"b": {}}]}, "at `a.b` an object is there"),
        ({"cast": {"a": "integer"}}, {"a": "secret"}, "at `a` the text is not a number"),
        ({"cast": {"a": "integer"}}, {"a": 1.5}, "is no integer"),
        ({"cast": {"a": "number"}}, {"a": "1e999"}, "range of a double"),
        ({"cast": {"a": "number"}}, {"a": "9" * 5000}, "too many digits"),
        ({"cast": {"a": "number"}}, {"a": {}}, "an object cannot become a number"),
        ({"cast": {"a": "string"}}, {"a": 10**5000}, "too many digits"),
        ({"cast": {"a": "string"}}, {"a": {}}, "an object cannot become text"),
        ({"cast": {"a": "boolean"}}, {"a": "maybe"}, "neither true, false, 1 nor 0"),
        ({"date_format": {"path": "a", "to": "iso"}}, {"a": "secret"}, "not a time in the form `iso`"),
        ({"date_format": {"path": "a", "to": "iso", "from": "unix"}}, {"a": 10**30}, "not a time in the form `unix`"),
        ({"date_format": {"path": "a", "to": "iso", "from": "unix"}}, {"a": True}, "not a time in the form `unix`"),
        ({"template": {"t": "{{ a.b }}"}}, {"a": {}}, "nothing is at `a.b`"),
        ({"template": {"t": "{{ a.b }}"}}, {"a": [{"b": 1}]}, "every element of an array"),
        ({"template": {"t": "x{{ a }}"}}, {"a": 10**5000}, "too many digits"),
        ({"map": {"path": "a", "steps": []}}, {"a": {}}, "an object is at `a`, not an array"),
        ({"map": {"path": "a", "steps": [{"lower": ["b"]}]}}, {"a": [{}, {"b": 5}]}, "lower for element 1 of `a`: at `b` a number"),
        ({"set_header": {"X-A": "{{ a }}"}}, {"a": "x\r\nHost: evil"}, "the value for the header X-A has characters other"),
        ({"set_header": {"X-A": "{{ a }}"}}, {"a": "x" * 5000}, "over 4096 characters"),
        ({"set_header": {"X-A": "{{ b }}"}}, {"a": 1}, "the header X-A: nothing is at `b`"),
        ({"jmespath": "a"}, {}, "cannot be evaluated here"),
    ],
    ids=lambda value: ascii(value)[1:50] if isinstance(value, str) else None,
)  # fmt: skip
def test_a_step_that_does_not_fit_fails_with_a_sentence(
    step: dict[str, Any], document: Any, message: str
) -> None:
    with pytest.raises(StepFailed) as caught:
        compile_steps([{"omit": ["nothing"]}, step]).run(document, None)
    assert (caught.value.index, caught.value.step) == (1, next(iter(step)))
    assert message in caught.value.message
    assert caught.value.detail.startswith(f"Step 1 ({caught.value.step}) cannot be applied: ")
    assert "secret" not in caught.value.detail


def test_cancel_if_ends_the_run() -> None:
    pipeline = compile_steps(
        [{"set": {"data.test": True}}, {"cancel_if": {"data.test": True}}, {"lower": ["data.id"]}]
    )
    assert pipeline.run(EVENT, None) == Cancelled("The condition of step 1 (cancel_if) holds.")


def test_cancel_if_lets_pass_what_does_not_match() -> None:
    assert run([{"cancel_if": {"data.id": 8}}]) == EVENT


def test_headers_are_filled_in_replaced_and_removed() -> None:
    result = compile_steps(
        [
            {"set_header": {"X-Order": "no. {{ data.id }}", "X-Type": "{{ type }}"}},
            {"set_header": {"x-order": "{{ data.id }}"}},
            {"remove_header": ["X-Debug", "X-Type"]},
        ]
    ).run(EVENT, None)
    assert isinstance(result, Transformed)
    assert result.headers == {"x-order": "7", "X-Type": None, "X-Debug": None}


@pytest.mark.parametrize(
    ("specs", "place", "message"),
    [
        ({}, "transformations", "must be a list of steps"),
        (None, "transformations", "must be a list of steps"),
        (["pick"], "transformations[0]", "object with one key"),
        ([{}], "transformations[0]", "object with one key"),
        ([{"pick": ["a"], "omit": ["b"]}], "transformations[0]", "object with one key"),
        ([{"pluck": ["a"]}], "transformations[0].pluck", "is no step; the steps are pick,"),
        ([{"pick": "a"}], "transformations[0].pick", "must be a list of 1 to 100 paths"),
        ([{"pick": []}], "transformations[0].pick", "must be a list of 1 to 100 paths"),
        ([{"omit": ["a", 5]}], "transformations[0].omit[1]", "must be a path"),
        ([{"lower": ["a..b"]}], "transformations[0].lower[0]", "empty name"),
        ([{"rename": {"a": 5}}], "transformations[0].rename.a", "must be a path"),
        ([{"rename": {"a": "c", "b": "c"}}], "transformations[0].rename", "one in the other"),
        ([{"rename": {"a": "c", "a.b": "d"}}], "transformations[0].rename", "one in the other"),
        ([{"nest": {"a": "b"}}], "transformations[0].nest.a", "must be a list"),
        ([{"nest": {"a": ["x.n", "y.n"]}}], "transformations[0].nest", "one in the other"),
        ([{"set": []}], "transformations[0].set", "must be an object of 1 to 100 paths"),
        ([{"set": {"a": 1, "a.b": 2}}], "transformations[0].set", "`a` and `a.b`, one in the other"),
        ([{"default": {}}], "transformations[0].default", "must be an object of 1 to 100 paths"),
        ([{"flatten": "a"}], "transformations[0].flatten", "must be an object"),
        ([{"flatten": {"sep": "_"}}], "transformations[0].flatten.sep", "known are `path`, `separator`"),
        ([{"flatten": {"separator": ""}}], "transformations[0].flatten.separator", "1 to 8 characters"),
        ([{"cast": {"a": "float"}}], "transformations[0].cast.a", "string, number, integer, boolean"),
        ([{"cast": {"a": {}}}], "transformations[0].cast.a", "string, number, integer, boolean"),
        ([{"date_format": {"path": "a"}}], "transformations[0].date_format.to", "is missing"),
        ([{"date_format": {"path": "a", "to": "%Q"}}], "transformations[0].date_format", "unknown directive"),
        ([{"date_format": {"path": "a", "to": "DD"}}], "transformations[0].date_format", "iso, date, unix, unix_ms"),
        ([{"date_format": {"path": "a", "to": "iso", "from": "%d%d"}}], "transformations[0].date_format", "twice"),
        ([{"date_format": {"path": "a", "to": "iso", "from": "%d.%m."}}], "transformations[0].date_format", "no year"),
        ([{"date_format": {"path": "a", "to": "iso", "timezone": "../x"}}], "transformations[0].date_format", "IANA"),
        ([{"date_format": {"path": "a", "to": "iso", "timezone": 5}}], "transformations[0].date_format", "IANA"),
        ([{"template": {"a": 5}}], "transformations[0].template.a", "must be text"),
        ([{"template": {"a": "{{ b"}}], "transformations[0].template.a", "`{{` without `}}`"),
        ([{"template": {"a": "{{ }}"}}], "transformations[0].template.a", "is empty"),
        ([{"map": {"path": "a"}}], "transformations[0].map.steps", "is missing"),
        ([{"map": {"path": "a", "steps": {}}}], "transformations[0].map.steps", "must be a list"),
        ([{"map": {"path": "a", "steps": [{"cancel_if": {}}]}}], "transformations[0].map.steps[0].cancel_if", "cannot stand in a `map`"),
        ([{"map": {"path": "a", "steps": [{"jsonata": "a"}]}}], "transformations[0].map.steps[0].jsonata", "cannot stand in a `map`"),
        ([{"cancel_if": {"$and": [{"a": {"$gt": None}}]}}], "transformations[0].cancel_if.$and[0].a.$gt", "number or text"),
        ([{"jmespath": 5}], "transformations[0].jmespath", "must be text"),
        ([{"jsonata": "  "}], "transformations[0].jsonata", "must be text"),
        ([{"jsonata": "a" * 9000}], "transformations[0].jsonata", "over 8192 characters"),
        ([{"set": {"a": "x" * 70_000}}], "transformations", "over 65536 bytes"),
        ([{"set": {"a": float("inf")}}], "transformations", "not finite"),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_a_fault_is_named_by_its_place(specs: Any, place: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        compile_steps(specs)
    [fault] = caught.value.fields
    assert fault.path == place
    assert message in fault.message


def test_every_fault_is_told_and_the_field_is_the_callers() -> None:
    with pytest.raises(Invalid) as caught:
        compile_steps([{"pick": [5]}, {"cancel_if": {"a": []}}, {"x": 1}], field="endpoint.transformations")
    assert [fault.path for fault in caught.value.fields] == [
        "endpoint.transformations[0].pick[0]",
        "endpoint.transformations[1].cancel_if.a",
        "endpoint.transformations[2].x",
    ]


def test_there_is_a_cap_of_steps_and_those_of_map_count() -> None:
    step = {"omit": ["a"]}
    compile_steps([step] * MAX_STEPS)
    with pytest.raises(Invalid, match="has 51 steps"):
        compile_steps([step] * (MAX_STEPS + 1))
    with pytest.raises(Invalid, match="has 51 steps"):
        compile_steps([{"map": {"path": "a", "steps": [step] * MAX_STEPS}}])


def test_there_is_a_cap_of_paths() -> None:
    with pytest.raises(Invalid, match="names 400 paths"):
        compile_steps([{"omit": [f"a{n}" for n in range(100)]}] * 4)


@pytest.mark.parametrize(
    "steps",
    [
        [{"set": {"a": "x" * 1000}}, *[{"template": {"a": "{{ a }}{{ a }}"}}] * 40],
        [{"set": {"a": ["x" * 1000, 1]}}, *[{"template": {"a.0": "{{ a }}", "a.1": "{{ a }}"}}] * 40],
        [{"set": {"i.x": "x" * 60_000}}],
        [{"map": {"path": "i", "steps": [{"set": {"x": "x" * 60_000}}]}}],
        [{"rename": {"i": "j"}}, {"template": {"j.k": "{{ j }}"}}, {"template": {"j.k": "{{ j }}"}}],
        [{"set": {"wide." + "k" * 400: {str(n): 1 for n in range(4000)}}}, {"flatten": {}}],
        [{"set_header": {f"X-{n}": "{{ i }}"}} for n in range(49)],
    ],
    ids=range(7),
)  # fmt: skip
def test_growth_ends_at_the_cap(steps: list[dict[str, Any]]) -> None:
    document = {"i": [{"n": n} for n in range(2000)]}
    with pytest.raises(StepFailed, match="over "):
        compile_steps(steps).run(document, None)


def test_a_document_over_the_cap_is_refused_at_the_last_step() -> None:
    pipeline = compile_steps([{"omit": ["x"]}], max_bytes=100)
    assert isinstance(pipeline.run({"a": "x" * 90}, None), Transformed)
    with pytest.raises(StepFailed, match="over 100 bytes"):
        pipeline.run({"a": "x" * 100}, None)


def test_needs_sandbox_tells_whether_there_are_expressions() -> None:
    assert not compile_steps([{"pick": ["a"]}]).needs_sandbox
    assert compile_steps([{"pick": ["a"]}, {"jmespath": "a"}]).needs_sandbox
