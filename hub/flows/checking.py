"""Judges what a caller wants of a flow, before anything is written: every fault at once, with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid
from hub.flows.granting import EVENT as NEEDS_REAUTH
from hub.transforms import compile_filter, compile_steps
from hub.webhooks.matching import EVENT_TYPE, LABEL_RULE, is_label, is_pattern
from hub.webhooks.operations import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hub.transforms import Sandbox

_TYPE_RULE = "must be dotted words of letters, digits, `_` and `-`, such as `deal.created`"
_OWN_RULE = "is told by the hub itself, and starts no flow: endpoints of kind `operations` get it"
#: The hub's own events; no flow publishes them.
_OWN = ("execution.", "endpoint.", "message.", "integration.")
#: What the hub tells of itself, beside the ends of executions. Others may well have messages, endpoints or integrations
#: of their own to tell of, so only these very types cannot start a flow.
_OWN_TYPES = frozenset({*Operation, NEEDS_REAUTH, "integration.alert"})


def is_own(text: str) -> bool:
    """Is this type, or pattern, one of the hub's own events? They go to endpoints of kind `operations`, to no flow."""
    return text.startswith("execution.") or text in _OWN_TYPES


def check(values: Mapping[str, Any], sandbox: Sandbox | None) -> None:
    """Judge a whole flow, or its changes: what is not there is not judged.

    Raises:
        Invalid: with one field for every fault.
        Unavailable: expressions cannot be read now.
    """
    faults = []
    for index, pattern in enumerate(values.get("event_types", ())):
        if not is_pattern(pattern):
            faults.append(FieldError(f"event_types.{index}", "must be a type, `order.*`, or `*`"))
        elif is_own(pattern):
            faults.append(FieldError(f"event_types.{index}", _OWN_RULE))
    faults += [
        FieldError(f"labels.{index}", LABEL_RULE)
        for index, label in enumerate(values.get("labels", ()))
        if not is_label(label)
    ]
    if values.get("filter") is not None:
        faults += _faults(lambda: compile_filter(values["filter"]))
    if "mapping" in values:
        faults += _faults(lambda: _check_steps(values["mapping"], "mapping", sandbox))
    for index, rule in enumerate(values.get("publish", ())):
        faults += _rule_faults(rule, f"publish.{index}", sandbox)
    if faults:
        raise Invalid.of(faults)


def _rule_faults(rule: Mapping[str, Any], at: str, sandbox: Sandbox | None) -> list[FieldError]:
    faults = _faults(lambda: _check_steps(rule["mapping"], f"{at}.mapping", sandbox))
    if EVENT_TYPE.fullmatch(rule["event_type"]) is None:
        faults.append(FieldError(f"{at}.event_type", _TYPE_RULE))
    elif rule["event_type"].startswith(_OWN):
        faults.append(FieldError(f"{at}.event_type", "is a type of the hub's own events; choose another"))
    return faults


def _check_steps(spec: Any, at: str, sandbox: Sandbox | None) -> None:
    pipeline = compile_steps(spec, field=at)
    if sandbox is not None and pipeline.needs_sandbox:
        pipeline.check_expressions(sandbox)


def _faults(judge: Callable[[], object]) -> list[FieldError]:
    try:
        judge()
    except Invalid as error:
        return list(error.fields)
    return []
