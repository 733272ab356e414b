"""Chat completions, as OpenAI and many others have them.

Source: https://platform.openai.com/docs/api-reference/chat
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

_DONE = "[DONE]"
_REASONS = {"function_call": "tool_calls"}


class OpenAiChat(Dialect):
    """See the module.

    Args:
        by_openai: the service has what only OpenAI itself promises: counting in streams, and a mark at their end.
    """

    chat_path: ClassVar[str] = "/chat/completions"
    reserved: ClassVar[frozenset[str]] = frozenset({"model", "messages", "tools", "stream"})

    def __init__(self, *, by_openai: bool) -> None:
        self._by_openai = by_openai

    def body(self, question: Question) -> dict[str, Any]:
        """See `Dialect`."""
        first = [{"role": "system", "content": question.system}] if question.system else []
        body: dict[str, Any] = {
            **question.parameters,
            "model": question.model,
            "messages": [*first, *question.messages],
        }
        if question.tools:
            body["tools"] = [_tool(tool) for tool in question.tools]
        if question.stream:
            body["stream"] = True
            if self._by_openai:
                body.setdefault("stream_options", {"include_usage": True})
        return body

    def read(self, document: dict[str, Any]) -> Reply:
        """See `Dialect`; of several choices, the first."""
        if isinstance(error := document.get("error"), dict):
            raise ServiceError(error)
        choice = document["choices"][0]
        message = choice["message"]
        calls = [
            {
                "id": call.get("id", ""),
                "name": call["function"]["name"],
                "arguments": arguments_of(call["function"].get("arguments")),
            }
            for call in message.get("tool_calls") or []
            if "function" in call
        ]
        reason = text_of(choice.get("finish_reason"))
        return Reply(
            id=text_of(document.get("id")),
            model=text_of(document.get("model")),
            text=text_of(message.get("content")) or text_of(message.get("refusal")),
            tool_calls=calls,
            messages=[{name: value for name, value in message.items() if value is not None}],
            finish_reason=_REASONS.get(reason, reason),
            usage=self.usage(document),
        )

    def usage(self, document: Mapping[str, Any]) -> Usage | None:
        """See `Dialect`."""
        found = document.get("usage")
        if not isinstance(found, dict):
            return None
        details = found.get("prompt_tokens_details")
        return Usage(
            count(found.get("prompt_tokens")),
            count(found.get("completion_tokens")),
            count(details.get("cached_tokens")) if isinstance(details, dict) else 0,
        )

    def collector(self) -> Collector:
        """See `Dialect`."""
        return _Chunks(needs_mark=self._by_openai)


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return tool if "type" in tool else {"type": "function", "function": tool}


class _Choice:
    """One of the answers, growing."""

    def __init__(self) -> None:
        self.texts = Pieces()
        self.calls: dict[int, tuple[dict[str, Any], Pieces]] = {}
        self._places: dict[str, int] = {}
        self._latest: Any = 0
        self.finish_reason: str | None = None

    def add(self, chunk: dict[str, Any]) -> None:
        """A piece of it."""
        self.finish_reason = chunk.get("finish_reason") or self.finish_reason
        delta = chunk.get("delta") or {}
        for name, value in delta.items():
            # Services add texts of their own, such as one of their reasoning.
            if name != "role" and isinstance(value, str):
                self.texts.add(name, value)
        for call in delta.get("tool_calls") or []:
            self._latest = self._place(call)
            known, pieces = self.calls.setdefault(self._latest, ({}, Pieces()))
            known.update({name: call[name] for name in ("id", "type") if call.get(name)})
            function = call.get("function") or {}
            if function.get("name"):
                known["name"] = function["name"]
            pieces.add("arguments", function.get("arguments"))

    def _place(self, call: dict[str, Any]) -> Any:
        """To which of the calls a piece belongs.

        Some services leave out the index: then an id that is new begins a call, and without one a name does.
        """
        index, key = call.get("index"), call.get("id")
        if index is None and key:
            index = self._places.get(key, len(self.calls))
        elif index is None:
            latest, _ = self.calls.get(self._latest, ({}, None))
            begins = (call.get("function") or {}).get("name") and latest.get("name")
            return len(self.calls) if begins else self._latest
        if key:
            self._places[key] = index
        return index

    def whole(self, index: int) -> dict[str, Any]:
        """As it would have come."""
        message: dict[str, Any] = {"role": "assistant", "content": None, **self.texts.joined()}
        if self.calls:
            message["tool_calls"] = [
                {
                    "id": known.get("id", ""),
                    "type": known.get("type", "function"),
                    "function": {
                        "name": known.get("name", ""),
                        "arguments": pieces.joined().get("arguments", ""),
                    },
                }
                for _, (known, pieces) in sorted(self.calls.items())
            ]
        return {"index": index, "message": message, "finish_reason": self.finish_reason}


class _Chunks(Collector):
    def __init__(self, *, needs_mark: bool) -> None:
        self._needs_mark = needs_mark
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def feed(self, event: str, data: str) -> None:
        """See `Collector`."""
        if data.strip() == _DONE:
            self.finished = True
            return
        chunk = object_of(data)
        if event == "error" or chunk.get("error"):
            error = chunk.get("error", chunk)
            self._note(chunk)
            raise ServiceError(error if isinstance(error, dict) else {"message": error})
        for choice in chunk.get("choices") or []:
            self._choices.setdefault(choice.get("index", 0), _Choice()).add(choice)
            if not self._needs_mark and choice.get("finish_reason"):
                self.finished = True
        self._note(chunk)

    def document(self) -> dict[str, Any]:
        """See `Collector`."""
        choices = [choice.whole(index) for index, choice in sorted(self._choices.items())]
        return {**self._head, "object": "chat.completion", "choices": choices}

    def _note(self, chunk: dict[str, Any]) -> None:
        self._head.update(
            {name: value for name, value in chunk.items() if name not in {"choices", "object"} and value}
        )
