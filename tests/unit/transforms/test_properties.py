"""On arbitrary JSON: only declared errors, no change of what is given, the same answer twice."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.core.errors import FieldError, Invalid
from hub.transforms import (
    Cancelled,
    Pipeline,
    StepFailed,
    Transformed,
    compile_filter,
    compile_steps,
    preview,
)

T = TypeVar("T")

KEYS = st.sampled_from(["a", "b", "c", "0", "1", "a.b", "$x", ""])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**310)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["a", "2030-01-02T03:04:05Z", "12", "{{ a }}", "{{ a.b }}", "iso", "%Y", "\ud800", "x\r\ny"]
    )
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=25,
)
PATHS = st.lists(st.sampled_from(["a", "b", "c", "0", "1", "a\\.b"]), min_size=1, max_size=3).map(".".join)

_ORDERED = st.sampled_from(["$gt", "$gte", "$lt", "$lte"])
CONDITIONS = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne", "$contains"]), DOCUMENTS),
    st.tuples(
        _ORDERED, st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4)
    ),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(SCALARS, min_size=1, max_size=4)),
    st.tuples(st.just("$exists"), st.booleans()),
    st.tuples(st.sampled_from(["$startsWith", "$endsWith"]), st.text(max_size=3)),
    st.tuples(st.just("$regex"), st.sampled_from(["a", "^[0-9]+$", "(?i)X|y", "."])),
)
FILTERS = st.recursive(
    st.dictionaries(PATHS, st.lists(CONDITIONS, min_size=1, max_size=2).map(dict), max_size=3),
    lambda inner: (
        st.fixed_dictionaries({"$not": inner})
        | st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=3)})
    ),
    max_leaves=6,
)

_PATH_LISTS = st.lists(PATHS, min_size=1, max_size=3)


def _step(name: str, argument: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return argument.map(lambda value: {name: value})


_DATES = st.fixed_dictionaries(
    {"path": PATHS, "to": st.sampled_from(["iso", "date", "unix", "unix_ms", "%d %B %Y %z"])},
    optional={
        "from": st.sampled_from(["iso", "unix", "unix_ms", "%Y"]),
        "timezone": st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]),
    },
)
_INNER = st.one_of(
    *(_step(name, _PATH_LISTS) for name in ("pick", "omit", "lower", "upper", "trim")),
    _step("rename", st.dictionaries(PATHS, PATHS, min_size=1, max_size=2)),
    _step("nest", st.dictionaries(PATHS, _PATH_LISTS, min_size=1, max_size=2)),
    *(_step(name, st.dictionaries(PATHS, DOCUMENTS, min_size=1, max_size=2)) for name in ("set", "default")),
    _step("flatten", st.fixed_dictionaries({}, optional={"path": PATHS, "separator": st.just(".")})),
    _step(
        "cast",
        st.dictionaries(PATHS, st.sampled_from(["string", "number", "integer", "boolean"]), min_size=1, max_size=2),
    ),
    _step("date_format", _DATES),
    _step(
        "template",
        st.dictionaries(PATHS, PATHS.map(lambda path: f"x {{{{ {path} }}}}") | PATHS.map("{{{{{}}}}}".format), min_size=1, max_size=2),
    ),
)  # fmt: skip
STEPS = st.lists(
    st.one_of(
        _INNER,
        _step("map", st.fixed_dictionaries({"path": PATHS, "steps": st.lists(_INNER, max_size=2)})),
        _step("cancel_if", FILTERS),
        _step("set_header", st.fixed_dictionaries({"X-A": PATHS.map("{{{{{}}}}}".format)})),
        _step("remove_header", st.just(["X-B"])),
    ),
    max_size=4,
)
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _read(read: Callable[[Any], T], spec: Any) -> tuple[T | None, tuple[FieldError, ...]]:
    try:
        return read(spec), ()
    except Invalid as error:
        return None, error.fields


def _run(pipeline: Pipeline, document: Any) -> Transformed | Cancelled | StepFailed:
    try:
        return pipeline.run(document, None)
    except StepFailed as failed:
        return failed


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one) == json.dumps(other)


@calm
@given(FILTERS, DOCUMENTS)
def test_a_filter_judges_any_document_without_an_error_and_changes_nothing(spec: Any, document: Any) -> None:
    before = copy.deepcopy((spec, document))
    chosen = compile_filter(spec)
    held = chosen.matches(document)
    assert held is chosen.matches(document)
    assert chosen.explain(document)[0].held is held
    assert _same((spec, document), before)


@calm
@given(FILTERS, DOCUMENTS)
def test_a_negated_filter_holds_exactly_when_the_filter_does_not(spec: Any, document: Any) -> None:
    assert compile_filter({"$not": spec}).matches(document) is not compile_filter(spec).matches(document)


@calm
@given(DOCUMENTS, DOCUMENTS)
def test_any_json_as_a_filter_is_read_or_refused(spec: Any, document: Any) -> None:
    chosen, faults = _read(compile_filter, spec)
    if chosen is None:
        assert faults
    else:
        chosen.matches(document)


@calm
@given(STEPS, DOCUMENTS)
def test_steps_end_with_a_declared_outcome_and_change_nothing(specs: Any, document: Any) -> None:
    before = copy.deepcopy((specs, document))
    pipeline, faults = _read(compile_steps, specs)
    if pipeline is None:
        assert faults
        return
    outcomes: list[Any] = []
    for _ in range(2):
        result = _run(pipeline, document)
        if isinstance(result, StepFailed):
            outcomes.append((result.index, result.detail))
        elif isinstance(result, Cancelled):
            outcomes.append(result.reason)
        else:
            json.dumps(result.document, allow_nan=False)
            outcomes.append((result.document, dict(result.headers)))
    assert _same(outcomes[0], outcomes[1])
    assert _same((specs, document), before)


@calm
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["pick", "set", "map", "cast", "template", "set_header"]), DOCUMENTS, max_size=2
        ),
        max_size=3,
    )
)
def test_any_json_as_steps_is_read_or_refused(specs: Any) -> None:
    pipeline, faults = _read(compile_steps, specs)
    assert (pipeline is None) is bool(faults)


@calm
@given(FILTERS, STEPS, DOCUMENTS)
def test_a_preview_tells_what_a_run_does(spec: Any, specs: Any, document: Any) -> None:
    try:
        told = preview(spec, specs, document, None)
    except Invalid:
        return
    json.dumps(told)
    result = _run(compile_steps(specs), document)
    if isinstance(result, StepFailed):
        assert (told["outcome"], told["index"], told["reason"]) == ("failed", result.index, result.message)
    elif isinstance(result, Cancelled):
        assert (told["outcome"], told["reason"]) == ("cancelled", result.reason)
    else:
        assert _same((told["document"], told["headers"]), (result.document, dict(result.headers)))
        assert told["would_send"] is told["matches"]
