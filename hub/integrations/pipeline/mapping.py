"""What an answer means: ordered rules of an integration, then what is true of every service.

A rule can make a success of a failure (`ignore`) and a failure of a success (`ok: false` under status 200). It cannot
make an answer of one that was lost: whether the request was taken stays unknown. What the provider said is never
hidden: its status, headers and body stay with the outcome, a rule only adds a sentence.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hub.core.errors import FieldError, Invalid
from hub.net.outcome import ErrorClass, safe_text
from hub.transforms.filters import Filter, compile_filter
from hub.transforms.operators import BadOperandError, compile_pattern
from hub.transforms.template import BadTemplateError, NotFilledError, Template, parse_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.net.outcome import Outcome

Action = Literal["retry", "fail", "ignore", "rate_limited", "refresh_credential"]
_ACTIONS = ("retry", "fail", "ignore", "rate_limited", "refresh_credential")
_CLASSES = frozenset(one.value for one in ErrorClass)
# What they make of an outcome says that the service did not take the request.
_OF_ANSWERS = frozenset({"rate_limited", "refresh_credential"})
_LOST = frozenset(
    {
        ErrorClass.TIMEOUT,
        ErrorClass.RESET,
        ErrorClass.PROTOCOL,
        ErrorClass.TOO_LARGE,
        ErrorClass.CANCELLED,
    }
)
_MESSAGE_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that was read."""

    statuses: frozenset[int]
    families: frozenset[int]
    error_classes: frozenset[str]
    headers: tuple[tuple[str, Any], ...]
    body: Filter | None
    then: Action
    message: Template | None

    def holds(self, outcome: Outcome, body: _Body) -> bool:
        """Whether every part that was given holds."""
        if self.statuses or self.families:
            status = outcome.status
            if status is None or not (status in self.statuses or status // 100 in self.families):
                return False
        if self.error_classes and self.error_classes.isdisjoint(_classes(outcome)):
            return False
        for name, pattern in self.headers:
            value = outcome.headers.get(name)
            if value is None or pattern.search(value.encode(errors="surrogatepass")) is None:
                return False
        return self.body is None or self.body.matches(body.value)


class _Body:
    """The answer's JSON, read once when a rule asks for it; None when it is none."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._read = False
        self._value: Any = None

    @property
    def value(self) -> Any:
        if not self._read:
            self._read = True
            try:
                self._value = json.loads(self._outcome.body)
            except (ValueError, RecursionError):
                self._value = None
        return self._value


def compile_rules(specs: Sequence[Any], *, field: str = "error_mapping") -> tuple[Rule, ...]:
    """Read rules, as `registry.schemas.ErrorRule` dumps them; what has another form is passed over.

    Raises:
        Invalid: with one field for every fault.
    """
    faults: list[FieldError] = []
    rules = []
    for index, spec in enumerate(specs):
        if isinstance(spec, dict) and isinstance(spec.get("when", {}), dict):
            rules.append(_read(spec, f"{field}.{index}", faults))
    if faults:
        raise Invalid.of(faults)
    return tuple(rule for rule in rules if rule is not None)


def is_lost(outcome: Outcome) -> bool:
    """No whole answer came, and what came of it refuses nothing: the request may have been taken."""
    return outcome.error_class in _LOST and (outcome.status or 0) < 400


def apply(rules: Sequence[Rule], outcome: Outcome) -> Action | None:
    """Judge an outcome in place.

    Args:
        rules: the integration's.
        outcome: gets the class that its meaning has, and the rule's sentence in front of its own.

    Returns:
        What the rule says is to follow; None when no rule held.
    """
    body = _Body(outcome)
    for rule in rules:
        if rule.holds(outcome, body):
            then: Action = "retry" if rule.then in _OF_ANSWERS and is_lost(outcome) else rule.then
            _take(rule, then, outcome, body)
            return then
    outcome.error_class = _refined(outcome)
    return None


def _refined(outcome: Outcome) -> ErrorClass | None:
    """The class by what is true of every HTTP service."""
    if outcome.error_class is ErrorClass.HTTP_4XX:
        if outcome.status in {401, 407}:
            return ErrorClass.UNAUTHORIZED
        if outcome.status == 429:
            return ErrorClass.RATE_LIMITED
    return outcome.error_class


def _classes(outcome: Outcome) -> set[str]:
    """What a rule may call it: a refused credential is also a 4xx."""
    return {one.value for one in (outcome.error_class, _refined(outcome)) if one is not None}


def _take(rule: Rule, then: Action, outcome: Outcome, body: _Body) -> None:
    if then == "ignore":
        outcome.error_class, outcome.message = None, ""
        return
    was_ok = outcome.ok
    if then == "rate_limited":
        outcome.error_class = ErrorClass.RATE_LIMITED
    elif then == "refresh_credential":
        outcome.error_class = ErrorClass.UNAUTHORIZED
    elif was_ok:
        outcome.error_class = ErrorClass.PROVIDER_BUSY if then == "retry" else ErrorClass.PROVIDER_ERROR
    said = _sentence(rule, outcome, body)
    if said:
        outcome.message = f"{said} ({outcome.message})" if outcome.message else said
    elif was_ok:
        outcome.message = "The answer is a failure by the integration's rules."


def _sentence(rule: Rule, outcome: Outcome, body: _Body) -> str:
    if rule.message is None:
        return ""
    document = {"status": outcome.status, "headers": outcome.headers, "body": body.value}
    try:
        return safe_text(rule.message.text(document, lambda _: None), _MESSAGE_CHARACTERS)
    except NotFilledError:
        return ""


def _read(spec: dict[str, Any], at: str, faults: list[FieldError]) -> Rule | None:
    when = spec.get("when", {})
    statuses, families = _statuses(when.get("statuses") or ())
    classes = frozenset(one for one in when.get("error_classes") or () if isinstance(one, str))
    if not classes <= _CLASSES:
        faults.append(FieldError(f"{at}.when.error_classes", f"must be of {', '.join(sorted(_CLASSES))}"))
    headers = _headers(when.get("headers") or {}, f"{at}.when.headers", faults)
    body = None
    if when.get("body") is not None:
        try:
            body = compile_filter(when["body"], field=f"{at}.when.body")
        except Invalid as error:
            faults.extend(error.fields)
    message = None
    if spec.get("message") is not None:
        try:
            message = parse_template(spec["message"])
        except BadTemplateError as error:
            faults.append(FieldError(f"{at}.message", str(error)))
    if not (statuses or families or classes or headers or when.get("body")):
        faults.append(
            FieldError(f"{at}.when", "must say something: statuses, error_classes, headers or body")
        )
    then = spec.get("then")
    if then not in _ACTIONS:
        return None
    return Rule(statuses, families, classes, headers, body, then, message)


def _statuses(given: Sequence[Any]) -> tuple[frozenset[int], frozenset[int]]:
    """Numbers, and the first digits of `4xx`."""
    families = {int(one[0]) for one in given if isinstance(one, str) and one[1:] == "xx" and one[0].isdigit()}
    return frozenset(one for one in given if isinstance(one, int)), frozenset(families)


def _headers(given: dict[str, Any], at: str, faults: list[FieldError]) -> tuple[tuple[str, Any], ...]:
    found = []
    for name, pattern in given.items():
        try:
            found.append((str(name).lower(), compile_pattern(pattern)))
        except BadOperandError as error:
            faults.append(FieldError(f"{at}.{name}", str(error)))
    return tuple(found)
