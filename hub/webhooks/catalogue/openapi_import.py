"""From the `webhooks` of an OpenAPI document to event types. Pure: reads, decides nothing about what is stored.

Rules
- The schema is that of the `application/json` request body of the webhook's `post` operation.
- Where it describes a whole envelope, an object with `type`, `timestamp` and `data` (directly or through `allOf`),
  the event type's schema is that of `data`, and a `const` of `type` is the event type's name; else the webhook's own
  name is.
- References to `#/components/schemas/…` are carried along as `$defs`; any other reference is refused.
- Summary, description, tags and `deprecated` of the operation become those of the event type.

OpenAPI 3.1.1, sections 4.8.1 (webhooks) and 4.8.24 (schema objects are JSON Schema 2020-12).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hub.core.errors import FieldError, Invalid
from hub.webhooks.matching import check_event_type

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Webhooks of one document.
MAX_WEBHOOKS = 1000
#: JSON values of all schemas of one import.
MAX_PARTS = 200_000
_COMPONENTS = "#/components/schemas/"
_DIALECTS = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://spec.openapis.org/oas/3.1/dialect/base",
    "https://spec.openapis.org/oas/3.1/dialect/2024-11-10",
    "https://spec.openapis.org/oas/3.2/dialect/2025-09-17",
)
_ENVELOPE = frozenset({"type", "timestamp", "data"})
_MAX_HOPS = 16


@dataclass(frozen=True, slots=True)
class Found:
    """One webhook of a document, as an event type.

    Args:
        webhook: its name in the document.
        name: of the event type; None when it was refused before that was known.
        schema: of the event's data.
        example: of the event's data; None without one.
        title: what it is called.
        description: what it means.
        labels: the operation's tags.
        deprecated: whether it is.
        errors: why it is refused; empty when it is not.
    """

    webhook: str
    name: str | None = None
    schema: Any = None
    example: Any = None
    title: str = ""
    description: str = ""
    labels: tuple[str, ...] = ()
    deprecated: bool = False
    errors: tuple[FieldError, ...] = ()


class _Refused(Exception):
    """One webhook cannot be read."""


def read_document(document: dict[str, Any]) -> list[Found]:
    """Read every webhook of an OpenAPI document, in its order.

    Raises:
        Invalid: it is not an OpenAPI document of 3.1 or 3.2 with webhooks.
    """
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith(("3.1.", "3.2.")):
        raise _invalid("document.openapi", "must be 3.1 or 3.2: earlier versions have no webhooks")
    if document.get("jsonSchemaDialect", _DIALECTS[0]) not in _DIALECTS:
        raise _invalid("document.jsonSchemaDialect", "must be JSON Schema 2020-12 or OpenAPI's dialect of it")
    webhooks = document.get("webhooks")
    if not isinstance(webhooks, dict) or not webhooks:
        raise _invalid("document.webhooks", "is missing or empty: there is nothing to import")
    if len(webhooks) > MAX_WEBHOOKS:
        raise _invalid("document.webhooks", f"has over {MAX_WEBHOOKS} webhooks: import it in parts")
    carrier = _Carrier(document, MAX_PARTS)
    found = [_read(document, carrier, name, item) for name, item in webhooks.items()]
    return list(_without_doubles(found))


def _read(document: dict[str, Any], carrier: _Carrier, webhook: str, item: Any) -> Found:
    at = f"document.webhooks.{webhook}"
    try:
        operation = _object(_follow(document, item), "is not an object").get("post")
        if not isinstance(operation, dict):
            raise _Refused("has no `post` operation")
        media = _media_type(document, operation)
        schema = media.get("schema")
        if schema is None:
            raise _Refused("has no schema for its JSON body")
        envelope = _envelope(document, schema)
        name = webhook
        example = _example(media)
        if envelope is not None:
            name = _named_by(document, envelope["type"]) or webhook
            schema = envelope["data"]
            example = example.get("data") if isinstance(example, dict) else None
        check_event_type(name, field="name")
        return Found(
            webhook=webhook,
            name=name,
            schema=carrier.carry(schema),
            example=example,
            title=_text(operation.get("summary"), 200),
            description=_text(operation.get("description"), 8192),
            labels=_labels(operation.get("tags")),
            deprecated=operation.get("deprecated") is True,
        )
    except _Refused as error:
        return Found(webhook, errors=(FieldError(at, str(error)),))
    except Invalid as error:
        return Found(webhook, errors=tuple(FieldError(at, f"its name {one.message}") for one in error.fields))


def _without_doubles(found: list[Found]) -> Iterator[Found]:
    seen: dict[str, str] = {}
    for one in found:
        if one.name is not None and seen.setdefault(one.name, one.webhook) != one.webhook:
            message = f"is the event type {one.name}, as is {seen[one.name]}"
            yield Found(one.webhook, errors=(FieldError(f"document.webhooks.{one.webhook}", message),))
        else:
            yield one


# -- the parts of an operation --------------------------------------------------------------------------------------


def _media_type(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    body = _object(_follow(document, operation.get("requestBody")), "has no request body")
    content = _object(body.get("content"), "has a request body without content")
    for name, media in content.items():
        kind = name.partition(";")[0].strip().lower()
        if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
            return _object(_follow(document, media), "has a JSON body that is not described by an object")
    raise _Refused("has no JSON body")


def _example(media: dict[str, Any]) -> Any:
    if "example" in media:
        return media["example"]
    examples = media.get("examples")
    if isinstance(examples, dict):
        for one in examples.values():
            if isinstance(one, dict) and "value" in one:
                return one["value"]
    return None


def _labels(tags: Any) -> tuple[str, ...]:
    names = (
        [tag for tag in tags if isinstance(tag, str) and 1 <= len(tag) <= 64]
        if isinstance(tags, list)
        else []
    )
    return tuple(dict.fromkeys(names))[:20]


def _text(value: Any, limit: int) -> str:
    return value[:limit] if isinstance(value, str) else ""


# -- the envelope ---------------------------------------------------------------------------------------------------


def _envelope(document: dict[str, Any], schema: Any) -> dict[str, Any] | None:
    """The schemas of `type` and `data`, where the schema describes the whole envelope."""
    properties: dict[str, list[Any]] = {}
    for part in _parts(document, schema, set()):
        for name in _ENVELOPE & part.keys():
            properties.setdefault(name, []).append(part[name])
    if not properties.keys() >= _ENVELOPE:
        return None
    return {
        name: properties[name][0] if len(properties[name]) == 1 else {"allOf": properties[name]}
        for name in ("type", "data")
    }


def _parts(document: dict[str, Any], schema: Any, seen: set[str]) -> Iterator[dict[str, Any]]:
    """The `properties` of a schema and of what it is put together from by `$ref` and `allOf`, each target once."""
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("properties"), dict):
        yield schema["properties"]
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        seen.add(reference)
        yield from _parts(document, _resolve(document, reference), seen)
    for part in schema["allOf"] if isinstance(schema.get("allOf"), list) else []:
        yield from _parts(document, part, seen)


def _named_by(document: dict[str, Any], schema: Any) -> str | None:
    """The one value that `type` can have."""
    for part in schema["allOf"] if isinstance(schema, dict) and "allOf" in schema else [schema]:
        resolved = _follow(document, part)
        if isinstance(resolved, dict):
            values = resolved.get("enum", [resolved["const"]] if "const" in resolved else [])
            if isinstance(values, list) and len(values) == 1 and isinstance(values[0], str):
                return values[0]
    return None


# -- references -----------------------------------------------------------------------------------------------------


class _Carrier:
    """Carries schemas out of a document, each with all that it refers to as its `$defs`.

    Args:
        document: the OpenAPI document.
        parts: JSON values that may be carried in all: a component goes along with every webhook that names it.
    """

    def __init__(self, document: dict[str, Any], parts: int) -> None:
        self._document = document
        self._left = parts

    def carry(self, schema: Any) -> Any:
        definitions: dict[str, Any] = {}
        waiting: list[str] = []
        carried = self._rewrite(schema, definitions, waiting)
        while waiting:
            name = waiting.pop()
            target = _resolve(self._document, f"{_COMPONENTS}{name}")
            definitions[_plain(name)] = self._rewrite(target, definitions, waiting)
        if not definitions:
            return carried
        own = carried.get("$defs", {})
        if not isinstance(own, dict) or own.keys() & definitions.keys():
            raise _Refused("has `$defs` with the names of components")
        return {**carried, "$defs": {**own, **definitions}}

    def _rewrite(self, value: Any, definitions: dict[str, Any], waiting: list[str]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _Refused("is beyond the size of one import: import the document in parts")
        if isinstance(value, list):
            return [self._rewrite(one, definitions, waiting) for one in value]
        if not isinstance(value, dict):
            return value
        made = {key: self._rewrite(one, definitions, waiting) for key, one in value.items()}
        reference = value.get("$ref")
        if isinstance(reference, str):
            if not reference.startswith(_COMPONENTS):
                raise _Refused(
                    f"refers to {reference[:128]}: only #/components/schemas/… can be carried along"
                )
            name, *rest = reference.removeprefix(_COMPONENTS).split("/")
            made["$ref"] = "/".join(["#/$defs", name, *rest])
            if _plain(name) not in definitions:
                definitions[_plain(name)] = True  # until its turn comes
                waiting.append(name)
        return made


def _plain(part: str) -> str:
    return unquote(part).replace("~1", "/").replace("~0", "~")


def _follow(document: dict[str, Any], value: Any) -> Any:
    """What an object or a reference to one stands for."""
    for _ in range(_MAX_HOPS):
        if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
            return value
        value = _resolve(document, value["$ref"])
    raise _Refused("refers to itself")


def _resolve(document: dict[str, Any], reference: str) -> Any:
    if not reference.startswith("#/"):
        raise _Refused(f"refers to {reference[:128]}, which is not in this document")
    value: Any = document
    for part in reference[2:].split("/"):
        if not isinstance(value, dict) or _plain(part) not in value:
            raise _Refused(f"refers to {reference[:128]}, which is not in this document")
        value = value[_plain(part)]
    return value


def _object(value: Any, otherwise: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Refused(otherwise)
    return value


def _invalid(path: str, message: str) -> Invalid:
    return Invalid(f"{path} {message}.", fields=(FieldError(path, message),))
