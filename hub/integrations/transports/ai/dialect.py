"""What a dialect is: how one kind of service is asked, and how its answers are read. Pure."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.transports.ai.usage import Usage


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Args:
        model: its name.
        system: what the model is told first; empty for nothing.
        messages: `{role, content}` with a text, `{role: tool, tool_call_id, content}`, or the service's own form.
        tools: `{name, description, parameters}`, or the service's own form.
        parameters: further members of the body.
        stream: the answer shall come in pieces.
    """

    model: str
    system: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    parameters: Mapping[str, Any]
    stream: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered, whoever answered.

    Args:
        id: the service's own; empty without one.
        model: that answered; empty without one.
        text: all texts, joined.
        tool_calls: `{id, name, arguments}`; the arguments are a text when they are not valid JSON.
        messages: in the service's own form, to be put behind the question's messages in the next one.
        finish_reason: stop, length, tool_calls, content_filter, or the service's own word.
        usage: None when the service did not count.
    """

    id: str
    model: str
    text: str
    tool_calls: list[dict[str, Any]]
    messages: list[Any]
    finish_reason: str
    usage: Usage | None


class ServiceError(Exception):
    """The service answered with an error of its own.

    Args:
        error: its error object.
    """

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__("the service answered with an error")
        self.error = error


class Collector(ABC):
    """Makes the events of one stream into the answer that would have come without it.

    What it is fed comes from outside: `TypeError`, `KeyError`, `IndexError`, `AttributeError` and `ValueError` mean
    that an event is not what it should be.

    Attributes:
        finished: the service said that the answer is complete.
    """

    finished: bool = False

    @abstractmethod
    def feed(self, event: str, data: str) -> None:
        """Take the next event.

        Args:
            event: its name; `message` without one.
            data: its text.

        Raises:
            ServiceError: it tells of one.
        """

    @abstractmethod
    def document(self) -> dict[str, Any]:
        """The answer as far as it came."""


class Dialect(ABC):
    """One kind of service. The readers raise the same errors as `Collector.feed` for what is no answer.

    Attributes:
        chat_path: where questions go, below the base URL.
        models_path: where the list of models is.
        reserved: members of a body that are not set as parameters.
        required: parameters without which the service takes no question.
        has_embeddings: it makes them.
    """

    chat_path: ClassVar[str]
    models_path: ClassVar[str] = "/models"
    reserved: ClassVar[frozenset[str]]
    required: ClassVar[tuple[str, ...]] = ()
    has_embeddings: ClassVar[bool] = True

    @abstractmethod
    def body(self, question: Question) -> dict[str, Any]:
        """The JSON object that asks it."""

    @abstractmethod
    def read(self, document: dict[str, Any]) -> Reply:
        """An answer that came whole.

        Raises:
            ServiceError: it tells of one.
        """

    @abstractmethod
    def usage(self, document: Mapping[str, Any]) -> Usage | None:
        """What an answer says was counted."""

    @abstractmethod
    def collector(self) -> Collector:
        """For one stream."""


@dataclass(slots=True)
class Pieces:
    """Texts that grow, by key."""

    parts: dict[str, list[str]] = field(default_factory=dict)

    def add(self, key: str, piece: Any) -> None:
        """One more piece; null is none.

        Raises:
            TypeError: it is no text.
        """
        if piece is None:
            return
        if not isinstance(piece, str):
            raise TypeError(key)
        self.parts.setdefault(key, []).append(piece)

    def joined(self) -> dict[str, str]:
        """The texts so far."""
        return {key: "".join(parts) for key, parts in self.parts.items()}


def decode(text: str) -> Any:
    """A JSON value.

    Raises:
        ValueError: it is none, or is nested beyond reason.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def object_of(text: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError, TypeError: it is none.
    """
    value = decode(text)
    if not isinstance(value, dict):
        raise TypeError("an object is missing")
    return value


def arguments_of(text: Any) -> Any:
    """Arguments of a tool call; the text itself when it is no JSON, as that of an answer that was cut."""
    if not isinstance(text, str):
        return text
    try:
        return decode(text) if text else {}
    except ValueError:
        return text


def text_of(value: Any) -> str:
    """A text that may be missing.

    Raises:
        TypeError: it is something else.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError("a text is missing")
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
