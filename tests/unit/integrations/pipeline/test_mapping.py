from __future__ import annotations

from typing import Any

import pytest

from hub.core.errors import Invalid
from hub.integrations.pipeline.mapping import apply, compile_rules
from hub.net.outcome import ErrorClass as E
from hub.net.outcome import Outcome


def judged(outcome: Outcome, *rules: dict[str, Any]) -> tuple[str | None, E | None, str]:
    action = apply(compile_rules(list(rules)), outcome)
    return action, outcome.error_class, outcome.message


def failed(status: int, body: bytes = b"", **headers: str) -> Outcome:
    kind = E.HTTP_5XX if status >= 500 else E.HTTP_4XX
    return Outcome(status, kind, f"The answer was status {status}.", headers, body)


def test_without_rules_only_the_class_is_refined() -> None:
    assert judged(failed(401))[:2] == (None, E.UNAUTHORIZED)
    assert judged(failed(407))[:2] == (None, E.UNAUTHORIZED)
    assert judged(failed(429))[:2] == (None, E.RATE_LIMITED)
    assert judged(failed(403))[:2] == (None, E.HTTP_4XX)
    assert judged(Outcome(None, E.TIMEOUT, "x"))[:2] == (None, E.TIMEOUT)
    assert judged(Outcome(200, None)) == (None, None, "")


@pytest.mark.parametrize(
    ("then", "kind"),
    [
        ("retry", E.PROVIDER_BUSY),
        ("fail", E.PROVIDER_ERROR),
        ("rate_limited", E.RATE_LIMITED),
        ("refresh_credential", E.UNAUTHORIZED),
    ],
)
def test_a_good_answer_can_be_a_failure_of_every_sort(then: str, kind: E) -> None:
    outcome = Outcome(200, None, body=b'{"ok": false}')
    rule = {"when": {"body": {"ok": False}}, "then": then}
    assert judged(outcome, rule) == (then, kind, "The answer is a failure by the integration's rules.")
    assert outcome.body == b'{"ok": false}'


def test_every_part_that_is_given_must_hold() -> None:
    rule = {
        "when": {"statuses": [500, "4xx"], "headers": {"X-Code": "^E1"}, "body": {"code": {"$in": [1, 2]}}},
        "then": "fail",
    }
    good = failed(404, b'{"code": 2}', **{"x-code": "E17"})
    assert judged(good, rule)[0] == "fail"
    for other in (
        failed(501, b'{"code": 2}', **{"x-code": "E17"}),
        failed(404, b'{"code": 3}', **{"x-code": "E17"}),
        failed(404, b'{"code": 2}', **{"x-code": "F17"}),
        failed(404, b'{"code": 2}'),
        failed(404, b"no json", **{"x-code": "E17"}),
        Outcome(None, E.TIMEOUT, "x", {"x-code": "E17"}, b'{"code": 2}'),
    ):
        assert judged(other, rule)[0] is None


def test_messages_stand_before_what_was_known_and_are_one_line() -> None:
    rule = {"when": {"statuses": [500]}, "then": "fail", "message": "{{ body.why }} ({{ status }})"}
    outcome = failed(500, b'{"why": "a\\nb\\u0000c"}')
    assert judged(outcome, rule)[2] == "a b c (500) (The answer was status 500.)"
    assert judged(failed(500, b"{}"), rule)[2] == "The answer was status 500."
    long = failed(500, b'{"why": "' + b"x" * 5000 + b'"}')
    assert len(judged(long, rule)[2]) < 1100


def test_a_rule_must_say_when() -> None:
    nothing: tuple[dict[str, Any], ...] = ({}, {"statuses": []}, {"body": {}})
    for when in nothing:
        with pytest.raises(Invalid) as caught:
            compile_rules([{"when": when, "then": "fail"}])
        assert [fault.path for fault in caught.value.fields] == ["error_mapping.0.when"]
    with pytest.raises(Invalid) as caught:
        compile_rules(
            [{"when": {"error_classes": ["sad"], "headers": {"x": "("}}, "then": "fail", "message": "{{"}]
        )
    assert {fault.path for fault in caught.value.fields} == {
        "error_mapping.0.when.error_classes", "error_mapping.0.when.headers.x", "error_mapping.0.message",
    }  # fmt: skip
