"""Responses, as OpenAI has them.

Source: https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hub.integrations.transports.ai.dialect import (
    Collector,
    Dialect,
    Question,
    Reply,
    ServiceError,
    arguments_of,
    object_of,
    text_of,
)
from hub.integrations.transports.ai.usage import Usage, count

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENDS = frozenset({"response.completed", "response.incomplete"})
_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


class OpenAiResponses(Dialect):
    """See the module."""

    chat_path: ClassVar[str] = "/responses"
    reserved: ClassVar[frozenset[str]] = frozenset({"model", "input", "instructions", "tools", "stream"})

    def body(self, question: Question) -> dict[str, Any]:
        """See `Dialect`."""
        body: dict[str, Any] = {
            **question.parameters,
            "model": question.model,
            "input": [_item(message) for message in question.messages],
        }
        if question.system:
            body["instructions"] = question.system
        if question.tools:
            body["tools"] = [_tool(tool) for tool in question.tools]
        if question.stream:
            body["stream"] = True
        return body

    def read(self, document: dict[str, Any]) -> Reply:
        """See `Dialect`."""
        error = document.get("error")
        if isinstance(error, dict):
            raise ServiceError(error)
        output = document["output"]
        texts = [
            text_of(part.get("text")) or text_of(part.get("refusal"))
            for item in output
            if item["type"] == "message"
            for part in item["content"]
        ]
        calls = [
            {"id": item["call_id"], "name": item["name"], "arguments": arguments_of(item["arguments"])}
            for item in output
            if item["type"] == "function_call"
        ]
        return Reply(
            id=text_of(document.get("id")),
            model=text_of(document.get("model")),
            text="".join(texts),
            tool_calls=calls,
            messages=list(output),
            finish_reason=_finish_reason(document, has_calls=bool(calls)),
            usage=self.usage(document),
        )

    def usage(self, document: Mapping[str, Any]) -> Usage | None:
        """See `Dialect`."""
        found = document.get("usage")
        if not isinstance(found, dict):
            return None
        details = found.get("input_tokens_details")
        return Usage(
            count(found.get("input_tokens")),
            count(found.get("output_tokens")),
            count(details.get("cached_tokens")) if isinstance(details, dict) else 0,
        )

    def collector(self) -> Collector:
        """See `Dialect`."""
        return _Events()


def _finish_reason(document: Mapping[str, Any], *, has_calls: bool) -> str:
    status = text_of(document.get("status")) or "completed"
    if status == "incomplete":
        reason = text_of((document.get("incomplete_details") or {}).get("reason"))
        return _REASONS.get(reason, reason or status)
    if status != "completed":
        return status
    return "tool_calls" if has_calls else "stop"


def _item(message: dict[str, Any]) -> dict[str, Any]:
    if message.get("role") != "tool":
        return message
    return {
        "type": "function_call_output",
        "call_id": message.get("tool_call_id"),
        "output": message.get("content"),
    }


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    # Strict is what the service assumes, and few schemas are strict in its sense.
    return tool if "type" in tool else {"type": "function", "strict": False, **tool}


class _Events(Collector):
    """The last event has the whole answer; some before it have what there was of it."""

    def __init__(self) -> None:
        self._answer: dict[str, Any] = {}

    def feed(self, event: str, data: str) -> None:
        """See `Collector`."""
        del event
        found = object_of(data)
        kind = found.get("type")
        if isinstance(found.get("response"), dict):
            self._answer = found["response"]
        if kind == "error" or found.get("error"):
            inner = found.get("error")
            raise ServiceError(inner if isinstance(inner, dict) else found)
        if kind == "response.failed":
            raise ServiceError(found["response"].get("error") or {})
        if kind in _ENDS:
            self.finished = True

    def document(self) -> dict[str, Any]:
        """See `Collector`."""
        return self._answer
