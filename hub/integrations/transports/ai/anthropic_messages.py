"""Messages, as Anthropic has them.

Sources: https://platform.claude.com/docs/en/api/messages and …/build-with-claude/streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hub.integrations.transports.ai.dialect import (
    Collector,
    Dialect,
    Pieces,
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

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
#: Kind of a delta → the member of its block that it makes longer.
_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class AnthropicMessages(Dialect):
    """See the module."""

    chat_path: ClassVar[str] = "/messages"
    models_path: ClassVar[str] = "/models?limit=1000"
    reserved: ClassVar[frozenset[str]] = frozenset({"model", "messages", "system", "tools", "stream"})
    required: ClassVar[tuple[str, ...]] = ("max_tokens",)
    has_embeddings: ClassVar[bool] = False

    def body(self, question: Question) -> dict[str, Any]:
        """See `Dialect`; what a message of the role system says goes to the others of its kind."""
        system: list[Any] = [{"type": "text", "text": question.system}] if question.system else []
        messages: list[dict[str, Any]] = []
        for message in question.messages:
            content = message.get("content")
            if message.get("role") == "system":
                system += content if isinstance(content, list) else [{"type": "text", "text": content}]
            elif message.get("role") == "tool":
                _add_result(messages, message)
            else:
                messages.append(message)
        body: dict[str, Any] = {
            **question.parameters,
            "model": question.model,
            "messages": messages,
        }
        if system:
            body["system"] = system
        if question.tools:
            body["tools"] = [_tool(tool) for tool in question.tools]
        if question.stream:
            body["stream"] = True
        return body

    def read(self, document: dict[str, Any]) -> Reply:
        """See `Dialect`."""
        if document.get("type") == "error":
            raise ServiceError(document.get("error") or {})
        content = document["content"]
        reason = text_of(document.get("stop_reason"))
        return Reply(
            id=text_of(document.get("id")),
            model=text_of(document.get("model")),
            text="".join(text_of(block["text"]) for block in content if block["type"] == "text"),
            tool_calls=[
                {"id": block["id"], "name": block["name"], "arguments": block["input"]}
                for block in content
                if block["type"] == "tool_use"
            ],
            messages=[{"role": "assistant", "content": content}],
            finish_reason=_REASONS.get(reason, reason),
            usage=self.usage(document),
        )

    def usage(self, document: Mapping[str, Any]) -> Usage | None:
        """See `Dialect`; this service counts kept input apart."""
        found = document.get("usage")
        if not isinstance(found, dict):
            return None
        cached = count(found.get("cache_read_input_tokens"))
        written = count(found.get("cache_creation_input_tokens"))
        plain = count(found.get("input_tokens"))
        return Usage(plain + cached + written, count(found.get("output_tokens")), cached, written)

    def collector(self) -> Collector:
        """See `Dialect`."""
        return _Events()


def _add_result(messages: list[dict[str, Any]], message: Mapping[str, Any]) -> None:
    """A tool's result is a block of the user; all results of one turn are in one message."""
    block = {
        "type": "tool_result",
        "tool_use_id": message.get("tool_call_id"),
        "content": message.get("content"),
    }
    last = messages[-1] if messages else {}
    content = last.get("content")
    if last.get("role") == "user" and isinstance(content, list) and content[-1:] and _is_result(content[-1]):
        messages[-1] = {**last, "content": [*content, block]}
    else:
        messages.append({"role": "user", "content": [block]})


def _is_result(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_result"


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if "type" in tool or "input_schema" in tool:
        return tool
    schema = tool.get("parameters", {"type": "object"})
    return {**{name: value for name, value in tool.items() if name != "parameters"}, "input_schema": schema}


class _Events(Collector):
    """Events of a kind that is not known are passed over, as the service wants it."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: dict[int, Pieces] = {}

    def feed(self, event: str, data: str) -> None:
        """See `Collector`."""
        found = object_of(data)
        kind = found.get("type", event)
        if kind == "error":
            error = found.get("error")
            raise ServiceError(error if isinstance(error, dict) else found)
        if kind == "message_start":
            self._message = dict(found["message"])
        elif kind == "content_block_start":
            index = found["index"]
            self._blocks[index] = dict(found["content_block"])
            self._pieces[index] = Pieces()
        elif kind == "content_block_delta":
            self._add(found["index"], found["delta"])
        elif kind == "message_delta":
            self._message.update(found["delta"])
            counted = {name: value for name, value in (found.get("usage") or {}).items() if value is not None}
            self._message["usage"] = self._message.get("usage") or {}
            self._message["usage"].update(counted)
        elif kind == "message_stop":
            self.finished = True

    def document(self) -> dict[str, Any]:
        """See `Collector`."""
        blocks = [self._whole(index) for index in sorted(self._blocks)]
        return {**self._message, "content": blocks} if self._message else {}

    def _add(self, index: int, delta: dict[str, Any]) -> None:
        kind, block, pieces = delta["type"], self._blocks[index], self._pieces[index]
        if kind == "input_json_delta":
            pieces.add("input", delta["partial_json"])
        elif kind == "citations_delta":
            block["citations"] = block.get("citations") or []
            block["citations"].append(delta["citation"])
        elif kind in _DELTAS:
            pieces.add(_DELTAS[kind], delta[_DELTAS[kind]])

    def _whole(self, index: int) -> dict[str, Any]:
        block = dict(self._blocks[index])
        for name, text in self._pieces[index].joined().items():
            if name == "input":
                block["input"] = arguments_of(text)
            else:
                block[name] = text_of(block.get(name)) + text
        return block
