"""The OpenAPI document: what FastAPI derives, one problem schema for every error, and the publish route."""

from __future__ import annotations

from typing import Any

from hub.web.problems import MEDIA_TYPE, Problem

TITLE = "Integration Hub"
DESCRIPTION = """\
Publish events to signed webhooks, run integrations, watch their health.

Accepted means committed: an answer of 202 is given after the row is on disk. Send an `Idempotency-Key` with a
POST that you may repeat. Errors are `application/problem+json` (RFC 9457); `errors` names each wrong field.
Lists are newest first: send `next_cursor` as `cursor` for the next page.
"""

TAGS = [
    {"name": "Events", "description": "Publish events and see where they went."},
    {"name": "Endpoints", "description": "Where events are delivered to."},
    {"name": "Event types", "description": "The catalogue of events, with versioned JSON Schemas."},
    {"name": "Deliveries", "description": "One event on its way to one endpoint, with every attempt."},
    {"name": "Replays", "description": "Jobs that send events again, at a rate of their own."},
    {"name": "Sources", "description": "Where providers send their webhooks to, and what they sent."},
    {"name": "Integrations", "description": "Outside services that the hub calls."},
    {"name": "Executions", "description": "Calls of integrations, with every attempt."},
    {"name": "Schedules", "description": "Operations that are executed at times of the clock."},
    {"name": "Flows", "description": "Events that start operations."},
    {"name": "Transformations", "description": "Filters and steps, tried on a sample."},
    {"name": "Health", "description": "Scheduled checks of integrations and what they measured."},
    {"name": "Access", "description": "Tenants and API keys."},
    {"name": "Operations", "description": "For whoever runs the hub; no key needed."},
]

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_ERRORS = {
    "400": "The request could not be read.",
    "401": "No API key, or one that is unknown, expired or revoked.",
    "403": "The key lacks the scope.",
    "404": "No such thing in this tenant.",
    "409": "It contradicts what is stored.",
    "412": "It was changed since the version of `If-Match`.",
    "413": "The body is over the size or depth cap.",
    "415": "The body is not JSON.",
    "422": "A field is wrong; `errors` names it.",
    "503": "A part of the hub does not answer. Repeat with the same id or Idempotency-Key: then it is done once.",
}
_READS = frozenset({"400", "401", "403", "422", "503"})
_WRITES = _READS | {"409", "413", "415"}

_EVENT = {
    "type": "object",
    "title": "EventInput",
    "required": ["type", "data"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "maxLength": 128, "description": "Dotted event type."},
        "data": {"description": "Any JSON value. Receivers get its bytes as they were sent."},
        "id": {
            "type": ["string", "null"],
            "pattern": "^[A-Za-z0-9_:-]{1,128}$",
            "description": "Your own id: publishing it twice is one event. It becomes the `webhook-id`.",
        },
        "labels": {
            "type": ["array", "null"],
            "items": {"type": "string", "pattern": "^[A-Za-z0-9_.:/-]{1,64}$"},
            "maxItems": 20,
            "description": "Endpoints that ask for labels get the event when they share one.",
        },
        "ordering_key": {
            "type": ["string", "null"],
            "maxLength": 128,
            "description": "Events of one key reach endpoints with strict ordering one after the other.",
        },
        "deliver_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "Not before this moment; within 365 days.",
        },
        "expires_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "What is not delivered by then is not sent any more.",
        },
    },
}
_FIELD_FAULTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
    },
}
_RECEIPT = {
    "type": "object",
    "title": "Receipt",
    "required": ["id", "status"],
    "properties": {
        "id": {"type": ["string", "null"]},
        "status": {"type": "string", "enum": ["accepted", "duplicate", "conflict", "invalid"]},
        "warnings": {**_FIELD_FAULTS, "description": "What the catalogue of event types finds wrong."},
        "errors": {**_FIELD_FAULTS, "description": "Why it is `invalid`; with `partial=true` only."},
    },
}
_ONE = {"type": "invoice.paid", "data": {"invoice": "in_1", "amount": 4200}, "id": "invoice-in_1-paid"}
_ACCEPTED = {"id": "msg_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e", "status": "accepted"}

_PUBLISH: dict[str, Any] = {
    "tags": ["Events"],
    "summary": "Publish one event or a list",
    "description": "Takes one event, or an array of up to 1,000. 202 when they are committed.",
    "operationId": "publish_events",
    "security": [{"api_key": ["events:write"]}],
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string", "maxLength": 255},
            "description": "Makes a repeat of this request harmless for a day.",
        },
        {
            "name": "traceparent",
            "in": "header",
            "schema": {"type": "string"},
            "description": "W3C trace context: goes on with deliveries, and with what flows start.",
        },
        {
            "name": "partial",
            "in": "query",
            "schema": {"type": "boolean", "default": False},
            "description": "For a list: accept what is acceptable, and say of each event what became of it.",
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [_EVENT, {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": 1000}]
                },
                "examples": {
                    "one": {"summary": "One event", "value": _ONE},
                    "list": {"summary": "A list", "value": [_ONE, {"type": "invoice.sent", "data": {}}]},
                },
            }
        },
    },
    "responses": {
        "202": {
            "description": "Committed.",
            "content": {
                "application/json": {
                    "schema": {
                        "oneOf": [
                            _RECEIPT,
                            {
                                "type": "object",
                                "required": ["data"],
                                "properties": {"data": {"type": "array", "items": _RECEIPT}},
                            },
                        ]
                    },
                    "examples": {
                        "one": {"summary": "One event", "value": _ACCEPTED},
                        "list": {"summary": "A list", "value": {"data": [_ACCEPTED]}},
                    },
                }
            },
        }
    },
}

#: Names of the publish route's query parameters.
PUBLISH_QUERY = tuple(one["name"] for one in _PUBLISH["parameters"] if one["in"] == "query")


def complete(document: dict[str, Any], *, publish_path: str) -> dict[str, Any]:
    """Finish the document that FastAPI derived.

    Args:
        document: changed in place.
        publish_path: of the publish route, which FastAPI does not see.
    """
    document["paths"].setdefault(publish_path, {})["post"] = _PUBLISH | {
        "responses": dict(_PUBLISH["responses"])
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "security" in operation:
                _document_errors(operation, path, reads=method == "get")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for derived in ("HTTPValidationError", "ValidationError"):
        schemas.pop(derived, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {}) | {"Problem": problem}
    return document


def _document_errors(operation: dict[str, Any], path: str, *, reads: bool) -> None:
    statuses = (_READS if reads else _WRITES) | ({"404"} if "{" in path else set())
    if any(one["name"] == "if-match" for one in operation.get("parameters", ())):
        statuses |= {"412"}
    for status in sorted(statuses):
        operation["responses"][status] = {
            "description": _ERRORS[status],
            "content": {MEDIA_TYPE: {"schema": _PROBLEM}},
        }
