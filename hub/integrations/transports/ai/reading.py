"""From an answer, whole or in pieces, to the one form of a result. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hub.integrations.transports.ai.dialect import ServiceError, decode, object_of, text_of
from hub.integrations.transports.ai.events import events_of
from hub.integrations.transports.ai.usage import Usage, count, price_of
from hub.integrations.transports.ai.verdicts import verdict
from hub.net.outcome import ErrorClass, classify_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.transports.ai.asking import Wire
    from hub.integrations.transports.ai.dialect import Dialect
    from hub.integrations.transports.ai.forms import AiSettings
    from hub.net.outcome import Outcome
    from hub.net.sockets import Deadline

_UNEXPECTED = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)


class Unfinished(Exception):
    """A stream ended before its answer did."""


def result_of(
    outcome: Outcome, wire: Wire, settings: AiSettings, dialect: Dialect, deadline: Deadline
) -> tuple[bytes | None, dict[str, float], ErrorClass | None, str]:
    """The result of an answer with a status of success.

    Args:
        outcome: the answer.
        wire: what was asked.
        settings: of the integration.
        dialect: of the service.
        deadline: for putting a stream together.

    Returns:
        The result as JSON, or None with an error class and a sentence. What was counted is known of a cut answer too.
    """
    counted: dict[str, float] = {}
    try:
        document, fault = _received(outcome, wire, dialect, deadline)
        counted = _counted(dialect, document, wire, settings)
        if fault is not None:
            raise fault
        if wire.action == "chat":
            return _encoded(_chat(document, wire, dialect, counted)), counted, None, ""
        if isinstance(error := document.get("error"), dict):
            raise ServiceError(error)
        listing = wire.action == "list_models"
        result = _models(document) if listing else _embeddings(document, wire, counted)
        return _encoded(result), counted, None, ""
    except ServiceError as error:
        return None, counted, *verdict(outcome.status, error.error)
    except Unfinished:
        return None, counted, ErrorClass.RESET, "The stream ended before the answer was complete."
    except TimeoutError:
        return None, counted, ErrorClass.TIMEOUT, "The time was over while the answer was read."
    except _UNEXPECTED:
        return None, counted, ErrorClass.PROTOCOL, "The answer is not what such a service answers."


def counted_of(
    outcome: Outcome, wire: Wire, settings: AiSettings, dialect: Dialect, deadline: Deadline
) -> dict[str, float]:
    """What was counted in an answer that a fault of the connection, the deadline or the cap has cut.

    Args:
        outcome: the answer as far as it came.
        wire: what was asked.
        settings: of the integration.
        dialect: of the service.
        deadline: for putting a stream together.
    """
    if outcome.status is None or classify_status(outcome.status) is not None:
        return {}
    try:
        return _counted(dialect, _received(outcome, wire, dialect, deadline)[0], wire, settings)
    except _UNEXPECTED:
        return {}


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


def _received(
    outcome: Outcome, wire: Wire, dialect: Dialect, deadline: Deadline
) -> tuple[dict[str, Any], Exception | None]:
    """The service's answer, put together when it came in pieces, and what ended it too early."""
    kind = outcome.headers.get("content-type", "").partition(";")[0].strip().lower()
    if wire.action != "chat" or kind != "text/event-stream":
        return object_of(outcome.body.decode("utf-8-sig")), None
    collector = dialect.collector()
    try:
        for event, data in events_of(outcome.body):
            deadline.remaining()
            collector.feed(event, data)
    except (ServiceError, TimeoutError, *_UNEXPECTED) as error:
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
