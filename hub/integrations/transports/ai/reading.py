"""From an answer, whole or in pieces, to the one form of a result. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.ai.dialect import ServiceError, decode, object_of, text_of
from hub.integrations.transports.ai.events import events_of
from hub.integrations.transports.ai.usage import Usage, count, price_of
from hub.integrations.transports.ai.verdicts import verdict
from hub.net.outcome import ErrorClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.transports.ai.asking import Wire
    from hub.integrations.transports.ai.dialect import Dialect
    from hub.integrations.transports.ai.forms import AiSettings
    from hub.net.outcome import Outcome

_UNEXPECTED = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)


class Unfinished(Exception):
    """A stream ended before its answer did."""


def result_of(
    outcome: Outcome, wire: Wire, settings: AiSettings, dialect: Dialect
) -> tuple[bytes | None, dict[str, float], ErrorClass | None, str]:
    """The result of an answer with a status of success.

    Args:
        outcome: the answer.
        wire: what was asked.
        settings: of the integration.
        dialect: of the service.

    Returns:
        The result as JSON, or None with an error class and a sentence. What was counted is known of a cut answer too.
    """
    document: dict[str, Any] = {}
    try:
        if wire.action == "chat":
            document, fault = _received(outcome, dialect)
            counted = _counted(dialect, document, wire, settings)
            if fault is not None:
                raise fault
            return _encoded(_chat(document, wire, dialect, counted)), counted, None, ""
        document = object_of(outcome.body.decode("utf-8-sig"))
        if isinstance(error := document.get("error"), dict):
            raise ServiceError(error)
        if wire.action == "list_models":
            return _encoded(_models(document)), {}, None, ""
        counted = _counted(dialect, document, wire, settings)
        return _encoded(_embeddings(document, wire, counted)), counted, None, ""
    except ServiceError as error:
        found, message = verdict(outcome.status, error.error)
        return None, _counted(dialect, document, wire, settings), found, message
    except Unfinished:
        message = "The stream ended before the answer was complete."
        return None, _counted(dialect, document, wire, settings), ErrorClass.RESET, message
    except _UNEXPECTED:
        return None, {}, ErrorClass.PROTOCOL, "The answer is not what such a service answers."


def error_of(body: bytes) -> Mapping[str, Any]:
    """The error object of an answer that is no success; empty when there is none.

    OpenAI and Anthropic have it at `error`; others have a text there, or the object itself.
    """
    try:
        document = decode(body.decode("utf-8-sig"))
    except ValueError:
        return {}
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return {}
    error = document.get("error", document)
    return error if isinstance(error, dict) else {"message": error}


def _encoded(result: Mapping[str, Any]) -> bytes:
    """As JSON. Some services cut a character in two between pieces; its halves are put together again."""
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _received(outcome: Outcome, dialect: Dialect) -> tuple[dict[str, Any], Exception | None]:
    """The service's answer, put together when it came in pieces, and what ended it too early."""
    kind = outcome.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "text/event-stream":
        return object_of(outcome.body.decode("utf-8-sig")), None
    collector = dialect.collector()
    try:
        for event, data in events_of(outcome.body):
            collector.feed(event, data)
    except ServiceError as error:
        return collector.document(), error
    return collector.document(), None if collector.finished else Unfinished()


def _chat(
    document: dict[str, Any], wire: Wire, dialect: Dialect, counted: Mapping[str, float]
) -> dict[str, Any]:
    reply = dialect.read(document)
    result: dict[str, Any] = {
        "id": reply.id,
        "model": reply.model or wire.model,
        "text": reply.text,
        "tool_calls": reply.tool_calls,
        "messages": reply.messages,
        "finish_reason": reply.finish_reason,
        "usage": counted or None,
    }
    return result | {"raw": document} if wire.raw else result


def _models(document: dict[str, Any]) -> dict[str, Any]:
    models = [text_of(model["id"]) for model in document["data"]]
    return {"models": models, "more": document.get("has_more") is True}


def _embeddings(document: dict[str, Any], wire: Wire, counted: Mapping[str, float]) -> dict[str, Any]:
    result = {
        "model": text_of(document.get("model")) or wire.model,
        "embeddings": [
            item["embedding"] for item in sorted(document["data"], key=lambda item: item["index"])
        ],
        "usage": counted or None,
    }
    return result | {"raw": document} if wire.raw else result


def _counted(
    dialect: Dialect, document: Mapping[str, Any], wire: Wire, settings: AiSettings
) -> dict[str, float]:
    if wire.action == "embeddings":
        found = document.get("usage")
        usage = Usage(count(found.get("prompt_tokens")), 0) if isinstance(found, dict) else None
    else:
        usage = dialect.usage(document)
    if usage is None:
        return {}
    model = document.get("model")
    answered = model if isinstance(model, str) else ""
    return usage.told(price_of(settings.prices, answered, wire.model))
