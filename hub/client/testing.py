"""For your own tests: a client that answers from fixtures, without a hub.

    $ hub executions record exe_0199… tests/fixtures/get_user.json

    from hub.client.testing import FixtureClient

    def test_a_user_is_greeted():
        hub = FixtureClient("tests/fixtures")
        assert greet(hub, 42) == "Hello Ada"
        assert hub.unused() == []

It is strict: a call that no fixture has fails the test, and the error shows the fixture that comes nearest and where
it differs. `hub integrations check tests/fixtures/*.json` tells when a definition would send something else than what
was recorded.
"""

# ruff: noqa: A002 - `input` is the field's name

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import NAMESPACE_URL, uuid5

from hub.client.fixtures import MISSING, Difference, Fixture, FixtureError, differences

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hub.client.results import Accepted, ExecutionDetail

__all__ = ["Call", "FixtureClient", "FixtureError", "UnknownCallError"]

_SHOWN = 5
_WIDTH = 200


class UnknownCallError(AssertionError):
    """No fixture has this call. No error of the client, so that code which handles those does not hide it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was made.

    Args:
        integration: name or id, as it was given.
        operation: its name.
        input: what it took, as JSON.
        options: what else was given: `wait`, `user`, `component`, `not_before`, `traceparent`, `idempotency_key`.
    """

    integration: str
    operation: str
    input: Any
    options: Mapping[str, Any] = field(default_factory=dict)


class FixtureClient:
    """Stands in for `hub.client.HttpClient` in tests of code that executes operations.

    Fixtures of the same call are answers one after the other, in the order of their files; the last one is given again.

    Args:
        sources: fixture files, and folders whose `*.json` files are fixtures.

    Raises:
        FixtureError: a file is no fixture, or there is none.

    Attributes:
        calls: every call, in order.
    """

    def __init__(self, *sources: str | Path) -> None:
        self._fixtures = [Fixture.read(path) for source in sources for path in _files(Path(source))]
        if not self._fixtures:
            raise FixtureError("There are no fixtures: name files, or folders with *.json files.")
        self._used: dict[int, int] = {}
        self._ended: dict[str, ExecutionDetail] = {}
        self._keys: dict[str, ExecutionDetail] = {}
        self.calls: list[Call] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""

    def execute(
        self,
        integration: str,
        operation: str,
        input: Mapping[str, Any] | None = None,
        *,
        wait: float | None = None,
        user: str | None = None,
        component: str | None = None,
        not_before: datetime | str | None = None,
        traceparent: str | None = None,
        idempotency_key: str | None = None,
    ) -> Accepted | ExecutionDetail:
        """Answer as `HttpClient.execute` does: with the result when there is a `wait`, else with `id` and `state`.

        Args:
            integration: its name or id, both as the fixtures have them.
            operation: its name.
            input: as it is recorded.
            wait: any number: nothing is waited for.
            user: is kept in `calls`.
            component: is kept in `calls`.
            not_before: is kept in `calls`.
            traceparent: is kept in `calls`.
            idempotency_key: the same key gets the same answer again.

        Raises:
            UnknownCallError: no fixture has this call.
            TypeError: the input is no JSON.
        """
        options = {
            "wait": wait,
            "user": user,
            "component": component,
            "not_before": not_before,
            "traceparent": traceparent,
            "idempotency_key": idempotency_key,
        }
        given = {name: value for name, value in options.items() if value is not None}
        call = Call(integration, operation, json.loads(json.dumps(dict(input or {}))), given)
        self.calls.append(call)
        detail = None if idempotency_key is None else self._keys.get(idempotency_key)
        if detail is None:
            detail = _detail(self._choose(call), call)
        self._ended[detail["id"]] = detail
        if idempotency_key is not None:
            self._keys[idempotency_key] = detail
        return detail if wait is not None else {"id": detail["id"], "state": "due"}

    def get_execution(self, execution_id: str) -> ExecutionDetail:
        """The end of an execution that was asked for here.

        Raises:
            UnknownCallError: it was not.
        """
        if execution_id not in self._ended:
            raise UnknownCallError(f"No execution {execution_id} was asked for in this test.")
        return self._ended[execution_id]

    def unused(self) -> list[Path]:
        """The files whose fixtures were not asked for so far."""
        return [
            one.path
            for index, one in enumerate(self._fixtures)
            if index not in self._used and one.path is not None
        ]

    def _choose(self, call: Call) -> Fixture:
        fitting = [
            index
            for index, one in enumerate(self._fixtures)
            if call.integration in {one.integration, one.integration_id}
            and call.operation == one.operation
            and not differences(one.input, call.input)
        ]
        if not fitting:
            raise UnknownCallError(self._nearest(call))
        fresh = next((index for index in fitting if index not in self._used), fitting[-1])
        self._used[fresh] = self._used.get(fresh, 0) + 1
        return self._fixtures[fresh]

    def _nearest(self, call: Call) -> str:
        """What to tell about a call that is not known."""

        def distance(one: Fixture) -> tuple[bool, bool, int]:
            return (
                call.integration not in {one.integration, one.integration_id},
                call.operation != one.operation,
                len(differences(one.input, call.input)),
            )

        nearest = min(self._fixtures, key=distance)
        found = [Difference("input." + one.path if one.path else "input", *one[1:])
                 for one in differences(nearest.input, call.input)]  # fmt: skip
        if call.operation != nearest.operation:
            found.insert(0, Difference("operation", nearest.operation, call.operation))
        if call.integration not in {nearest.integration, nearest.integration_id}:
            found.insert(0, Difference("integration", nearest.integration, call.integration))
        lines = [
            f"No fixture has the call {call.integration}.{call.operation}({_short(call.input)}).",
            f"The nearest is {nearest.path}; there",
            *(f"  {one.path} is {_short(one.recorded)}, here {_short(one.given)}" for one in found[:_SHOWN]),
        ]
        if len(found) > _SHOWN:
            lines.append(f"  and {len(found) - _SHOWN} more")
        return "\n".join(lines)


def _files(source: Path) -> list[Path]:
    return sorted(source.glob("*.json")) if source.is_dir() else [source]


def _detail(fixture: Fixture, call: Call) -> ExecutionDetail:
    """The answer of the API; what no fixture holds is as it is after one quick call."""
    answer = fixture.answer
    at = fixture.recorded_at or "2000-01-01T00:00:00Z"
    execution = fixture.execution or f"exe_{uuid5(NAMESPACE_URL, str(fixture.path)).hex}"
    result = None
    if answer.status is not None or answer.data is not None:
        result = {
            "status": answer.status,
            "headers": dict(answer.headers),
            "data": answer.data,
            "encoding": answer.encoding,
            "truncated": answer.truncated,
        }
    detail: ExecutionDetail = {
        "id": execution,
        "integration": fixture.integration_id or f"int_{uuid5(NAMESPACE_URL, fixture.integration).hex}",
        "operation": fixture.operation,
        "source": "http",
        "caller": None,
        "user": call.options.get("user"),
        "component": call.options.get("component"),
        "batch": None,
        "schedule": None,
        "replay_of": None,
        "event": None,
        "flow": None,
        "trace_id": None,
        "cached": False,
        "state": answer.state,
        "reason": answer.reason,
        "attempts": 1,
        "next_attempt_at": None,
        "created_at": at,
        "finished_at": at,
        "status": answer.status,
        "error": None if answer.error is None else dict(answer.error),
        "metrics": {"latency_ms": 0.0, "data_size": None, "retry_count": 0, "links": None, "usage": None},
        "input": call.input,
        "request": None if fixture.request is None else dict(fixture.request),
        "result": result,
        "attempt_log": [],
    }
    # As JSON would have given it: nobody's change of an answer is seen by the next one.
    copy: ExecutionDetail = json.loads(json.dumps(detail))
    return copy


def _short(value: Any) -> str:
    text = repr(value) if value is MISSING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"
