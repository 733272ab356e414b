"""Executions as files, for tests: what was asked for, what was sent, what came back.

    {
      "hub_fixture": 1,
      "integration": "crm",
      "operation": "get_user",
      "input": {"path": {"id": 42}},
      "answer": {"state": "done", "status": 200, "data": {"name": "Ada"}}
    }

That much is enough for a fixture that is written by hand; `hub executions record` writes the rest too. `***` stands for
what was masked: it is equal to any text in its place, and alone to any value.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.client.results import ExecutionDetail

MASK = "***"

_FORMAT = 1
_STATES = ("done", "failed", "cancelled", "skipped", "expired")
_ENCODINGS = ("json", "text", "base64")


class FixtureError(ValueError):
    """A file is no fixture; the text says which and why."""


class Difference(NamedTuple):
    """One place where two JSON values differ; `MISSING` where one of them has nothing."""

    path: str
    recorded: Any
    given: Any


class Missing:
    """Where a value has nothing."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = Missing()


@dataclass(frozen=True, slots=True)
class Answer:
    """How an execution ended.

    Args:
        state: `done`, `failed`, `cancelled`, `skipped` or `expired`.
        reason: one word for an end that is not good.
        status: HTTP status of the service's answer.
        headers: of that answer.
        data: the result: a JSON value, a text, or base64.
        encoding: which of them: `json`, `text`, `base64`.
        truncated: it was cut.
        error: `type`, `message`, `recoverable` of a failure.
    """

    state: str = "done"
    reason: str | None = None
    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Any = None
    encoding: str = "json"
    truncated: bool = False
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Fixture:
    """One execution.

    Args:
        integration: its name.
        operation: its name.
        input: what it took.
        answer: how it ended.
        request: what was sent: `method`, `endpoint`, `headers`, and `payload` where it is known. None: not recorded.
        integration_id: `int_…`, where it was recorded.
        execution: `exe_…`, the same.
        recorded_at: when; RFC 3339.
        path: the file.
    """

    integration: str
    operation: str
    input: Any
    answer: Answer
    request: Mapping[str, Any] | None = None
    integration_id: str | None = None
    execution: str | None = None
    recorded_at: str | None = None
    path: Path | None = None

    @classmethod
    def recorded(
        cls, name: str, detail: ExecutionDetail, request: Mapping[str, Any] | None, recorded_at: str
    ) -> Fixture:
        """Of an execution that has ended.

        Args:
            name: of the integration.
            detail: as the hub shows it.
            request: what was sent.
            recorded_at: now; RFC 3339.

        Raises:
            FixtureError: it has not ended.
        """
        if detail["state"] not in _STATES:
            raise FixtureError(f"The execution {detail['id']} has not ended: it is {detail['state']}.")
        result = detail["result"] or {"status": None, "headers": None, "data": None, "truncated": False}
        answer = Answer(
            detail["state"],
            detail["reason"],
            result["status"],
            result["headers"] or {},
            result["data"],
            result.get("encoding", "json"),
            result["truncated"],
            detail["error"],
        )
        return cls(
            name,
            detail["operation"],
            detail["input"],
            answer,
            request,
            detail["integration"],
            detail["id"],
            recorded_at,
        )

    @classmethod
    def read(cls, path: str | Path) -> Fixture:
        """Of a file.

        Raises:
            FixtureError: it cannot be read, or is no fixture.
        """
        path = Path(path)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise FixtureError(f"{path} cannot be read: {error.strerror}.") from None
        except (ValueError, RecursionError):
            raise FixtureError(f"{path} is not JSON.") from None
        if not isinstance(found, dict) or "hub_fixture" not in found:
            raise FixtureError(f"{path} is no fixture: it has no `hub_fixture`.")
        if found["hub_fixture"] != _FORMAT:
            raise FixtureError(f"{path} has the format {found['hub_fixture']}, which is not known here.")
        return _checked(found, path)

    def to_json(self) -> str:
        """The text of a file."""
        answer = {name: getattr(self.answer, name) for name in Answer.__dataclass_fields__}
        content: dict[str, Any] = {
            "hub_fixture": _FORMAT,
            "recorded_at": self.recorded_at,
            "execution": self.execution,
            "integration": self.integration,
            "integration_id": self.integration_id,
            "operation": self.operation,
            "input": self.input,
            "request": self.request,
            "answer": answer,
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def differences(recorded: Any, given: Any, path: str = "") -> list[Difference]:
    """Where two JSON values differ; what is masked in the recorded one is equal to anything.

    Args:
        recorded: of a fixture.
        given: to compare it with.
        path: where they stand.
    """
    if isinstance(recorded, str) and MASK in recorded:
        pattern = ".*".join(map(re.escape, recorded.split(MASK)))
        same = (
            given is not MISSING
            if recorded == MASK
            else isinstance(given, str) and re.fullmatch(pattern, given, re.DOTALL) is not None
        )
        return [] if same else [Difference(path, recorded, given)]
    if isinstance(recorded, dict) and isinstance(given, dict):
        found = []
        for name in [*recorded, *(name for name in given if name not in recorded)]:
            at = f"{path}.{name}" if path else str(name)
            found += differences(recorded.get(name, MISSING), given.get(name, MISSING), at)
        return found
    if isinstance(recorded, list) and isinstance(given, list):
        found = []
        for index in range(max(len(recorded), len(given))):
            one = recorded[index] if index < len(recorded) else MISSING
            other = given[index] if index < len(given) else MISSING
            found += differences(one, other, f"{path}.{index}" if path else str(index))
        return found
    # True is 1 to Python, and not to a service.
    if recorded == given and isinstance(recorded, bool) == isinstance(given, bool):
        return []
    return [Difference(path, recorded, given)]


def has_masks(value: Any) -> bool:
    """Is a part of it masked?"""
    return MASK in json.dumps(value, ensure_ascii=False)


def _checked(found: dict[str, Any], path: Path) -> Fixture:
    def need(place: Mapping[str, Any], name: str, kind: Any, default: Any, at: str = "") -> Any:
        value = place.get(name, default)
        if value is default and default is not MISSING:
            return value
        if value is MISSING or not isinstance(value, kind):
            raise FixtureError(f"{path}: {at}{name} must be {_KINDS[kind]}.")
        return value

    def text(name: str) -> Any:
        return need(found, name, str, None)

    answer = need(found, "answer", dict, MISSING)
    error = need(answer, "error", dict, None, "answer.")
    state = need(answer, "state", str, "done" if error is None else "failed", "answer.")
    encoding = need(answer, "encoding", str, "json", "answer.")
    for name, value, known in (("state", state, _STATES), ("encoding", encoding, _ENCODINGS)):
        if value not in known:
            raise FixtureError(f"{path}: answer.{name} must be one of {', '.join(known)}.")
    return Fixture(
        integration=need(found, "integration", str, MISSING),
        operation=need(found, "operation", str, MISSING),
        input=need(found, "input", dict, {}),
        answer=Answer(
            state,
            need(answer, "reason", str, None, "answer."),
            need(answer, "status", int, None if "status" in answer or state != "done" else 200, "answer."),
            need(answer, "headers", dict, {}, "answer."),
            answer.get("data"),
            encoding,
            bool(answer.get("truncated", False)),
            error,
        ),
        request=need(found, "request", dict, None),
        integration_id=text("integration_id"),
        execution=text("execution"),
        recorded_at=text("recorded_at"),
        path=path,
    )


_KINDS = {str: "a text", dict: "an object", int: "a number"}
