"""From an operation and its input to the request that goes out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid
from hub.integrations.transports.ai.anthropic_messages import AnthropicMessages
from hub.integrations.transports.ai.dialect import Question
from hub.integrations.transports.ai.forms import FREE, Action, AiOperation
from hub.integrations.transports.ai.openai_chat import OpenAiChat
from hub.integrations.transports.ai.openai_responses import OpenAiResponses
from hub.integrations.transports.encoding import UNSENDABLE, to_json
from hub.integrations.transports.http.headers import merge
from hub.integrations.transports.inputs import object_at, operation_of, parts_of
from hub.integrations.transports.interface import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.transports.ai.dialect import Dialect
    from hub.integrations.transports.ai.forms import AiSettings
    from hub.integrations.transports.interface import Connection

DIALECTS: dict[str, Dialect] = {
    "openai_chat": OpenAiChat(by_openai=True),
    "openai_compatible": OpenAiChat(by_openai=False),
    "openai_responses": OpenAiResponses(),
    "anthropic_messages": AnthropicMessages(),
}
#: The operation that every integration has.
FREE_OPERATION = "chat"

_PARTS: dict[Action, tuple[str, ...]] = {
    "chat": ("messages", "system", "model", "tools", "parameters", "body"),
    "embeddings": ("input", "model", "parameters"),
    "list_models": (),
}
_EMBEDDING_MEMBERS = frozenset({"model", "input"})


@dataclass(frozen=True, slots=True)
class Wire:
    """What `send` needs.

    Args:
        action: what is done.
        body: the bytes; None for none.
        model: that is asked.
        raw: the result has the service's own answer too.
    """

    action: Action
    body: bytes | None
    model: str
    raw: bool


def prepare(connection: Connection, operation: str, given: Any, field: str) -> Prepared:
    """Make the request of one execution.

    Args:
        connection: where to.
        operation: its name.
        given: the input. For chat: `messages`, and `system`, `model`, `tools`, `parameters` in place of or beside those
            of the operation; or `body`, which goes out as it is. For embeddings: `input`, a text or a list of texts.
        field: where the input stands in the caller's body, for errors.

    Raises:
        Invalid: with one field for every fault.
    """
    free = operation == FREE_OPERATION
    found: AiOperation = FREE if free else operation_of(connection, operation, FREE_OPERATION)
    if given is None and found.action == "list_models":
        given = {}
    faults: list[FieldError] = []
    given = parts_of(given, _PARTS[found.action], field, faults)
    settings: AiSettings = connection.settings
    dialect = DIALECTS[settings.dialect]
    if found.action == "list_models":
        return _prepared(connection, found, dialect.models_path, None, "", faults)
    if found.action == "embeddings":
        body = _embeddings(settings, found, given, field, faults)
        return _prepared(connection, found, "/embeddings", body, field, faults)
    if given.get("body") is not None:
        body = _own_body(settings, found, given, field, faults)
    else:
        question = _question(settings, dialect, found, given, field, faults)
        body = {} if faults else dialect.body(question)
    return _prepared(connection, found, dialect.chat_path, body, field, faults)


def parameter_faults(dialect: Dialect, parameters: Mapping[str, Any], at: str) -> list[FieldError]:
    """Parameters that have a place of their own.

    Args:
        dialect: whose.
        parameters: to judge.
        at: where they stand.
    """
    return [
        FieldError(f"{at}.{name}", "has a place of its own, beside `parameters`")
        for name in parameters
        if name in dialect.reserved
    ]


def _prepared(
    connection: Connection,
    operation: AiOperation,
    path: str,
    body: dict[str, Any] | None,
    field: str,
    faults: list[FieldError],
) -> Prepared:
    content: bytes | None = None
    try:
        if body is not None and not faults:
            content = to_json(body)
    except ValueError:
        faults.append(FieldError(field, UNSENDABLE))
    if faults:
        raise Invalid.of(faults)
    reading = operation.action != "chat"
    safe = reading if operation.safe is None else operation.safe
    model = str((body or {}).get("model", ""))
    return Prepared(
        method=operation.action,
        endpoint=f"{connection.base_url}{path}",
        headers=headers_of(connection, has_body=content is not None),
        payload=body,
        safe=safe,
        idempotent=safe if operation.idempotent is None else operation.idempotent,
        wire=Wire(operation.action, content, model, operation.raw),
    )


def headers_of(connection: Connection, *, has_body: bool) -> dict[str, str]:
    """The headers of a request to this service, without credentials."""
    own = {"Accept": "application/json"}
    if connection.settings.dialect == "anthropic_messages":
        own["anthropic-version"] = connection.settings.anthropic_version
    last = {"Content-Type": "application/json"} if has_body else {}
    return merge(own, connection.headers, last, "headers", [])


def _question(
    settings: AiSettings,
    dialect: Dialect,
    operation: AiOperation,
    given: Mapping[str, Any],
    field: str,
    faults: list[FieldError],
) -> Question:
    own = object_at(given, "parameters", field, faults)
    faults += parameter_faults(dialect, own, f"{field}.parameters")
    parameters = {name: value for name, value in {**operation.parameters, **own}.items() if value is not None}
    faults += [
        FieldError(f"{field}.parameters.{name}", "is required by this service, here or in the operation")
        for name in dialect.required
        if name not in parameters
    ]
    messages = _objects(given, "messages", field, faults)
    if not messages and not any(fault.path.startswith(f"{field}.messages") for fault in faults):
        faults.append(FieldError(f"{field}.messages", "is required: a list of {role, content}"))
    system = given.get("system")
    if system is not None and not isinstance(system, str):
        faults.append(FieldError(f"{field}.system", "must be a text"))
    return Question(
        model=_model(settings, operation, given, field, faults),
        system=system if isinstance(system, str) else operation.system,
        messages=messages,
        tools=_objects(given, "tools", field, faults) if given.get("tools") is not None else operation.tools,
        parameters=parameters,
        stream=operation.stream,
    )


def _own_body(
    settings: AiSettings,
    operation: AiOperation,
    given: Mapping[str, Any],
    field: str,
    faults: list[FieldError],
) -> dict[str, Any]:
    """The body as the input has it; only the model and the wish for a stream are filled in."""
    body = given["body"]
    faults += [
        FieldError(f"{field}.{name}", "cannot stand beside `body`, which is sent as it is")
        for name in given
        if name != "body" and given[name] is not None
    ]
    if not isinstance(body, dict):
        faults.append(FieldError(f"{field}.body", "must be an object"))
        return {}
    filled: dict[str, Any] = {"stream": True} if operation.stream else {}
    if "model" not in body:
        filled["model"] = _model(settings, operation, {}, field, faults)
    return {**filled, **body}


def _embeddings(
    settings: AiSettings,
    operation: AiOperation,
    given: Mapping[str, Any],
    field: str,
    faults: list[FieldError],
) -> dict[str, Any]:
    wanted = given.get("input")
    texts = wanted if isinstance(wanted, list) else [wanted]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        faults.append(FieldError(f"{field}.input", "must be a text, or a list of texts, none of them empty"))
    own = object_at(given, "parameters", field, faults)
    faults += [
        FieldError(f"{field}.parameters.{name}", "has a place of its own, beside `parameters`")
        for name in own
        if name in _EMBEDDING_MEMBERS
    ]
    model = _model(settings, operation, given, field, faults)
    return {**operation.parameters, **own, "model": model, "input": wanted}


def _model(
    settings: AiSettings,
    operation: AiOperation,
    given: Mapping[str, Any],
    field: str,
    faults: list[FieldError],
) -> str:
    model = given.get("model")
    if model is None:
        model = operation.model or settings.model
        if not model:
            text = "is required: neither the operation nor the integration's settings name one"
            faults.append(FieldError(f"{field}.model", text))
    if not isinstance(model, str) or len(model) > 256 or (given.get("model") is not None and not model):
        faults.append(FieldError(f"{field}.model", "must be a text of 1 to 256 characters"))
        return ""
    return model


def _objects(
    given: Mapping[str, Any], name: str, field: str, faults: list[FieldError]
) -> list[dict[str, Any]]:
    value = given.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        faults.append(FieldError(f"{field}.{name}", "must be a list of objects"))
        return []
    faults += [
        FieldError(f"{field}.{name}.{index}", "must be an object")
        for index, item in enumerate(value)
        if not isinstance(item, dict)
    ]
    return value
