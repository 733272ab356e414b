"""The catalogue of event types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.client.calls import Calls, part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hub.client.results import (
        EventType,
        EventTypeDetail,
        EventTypeImport,
        EventTypeSettings,
        Page,
        SchemaVersion,
        SchemaVersionDetail,
        Verdict,
    )

_SETTINGS = "/v1/event-type-settings"


class EventTypeCalls(Calls):
    """The catalogue of event types."""

    def create_event_type(self, name: str, **fields: Any) -> EventTypeDetail:
        """Make an event type: `schema` (JSON Schema of `data`), `validation`, any other field of the API."""
        made: EventTypeDetail = self._send("POST", "/v1/event-types", {"name": name, **fields})
        return made

    def get_event_type(self, name: str) -> EventTypeDetail:
        """An event type with the current version of its schema; archived ones too."""
        found: EventTypeDetail = self._get(_path(name))
        return found

    def list_event_types(
        self,
        *,
        labels: Sequence[str] = (),
        archived: bool = False,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[EventType]:
        """A page of event types, of those that have all of these labels; or of the archived ones."""
        page: Page[EventType] = self._get(
            "/v1/event-types", label=list(labels), archived=archived or None, limit=limit, cursor=cursor
        )
        return page

    def update_event_type(self, name: str, **fields: Any) -> EventType:
        """Change an event type; fields that are left out stay. `archived=False` brings an archived one back."""
        changed: EventType = self._send("PATCH", _path(name), fields)
        return changed

    def archive_event_type(self, name: str) -> None:
        """Make it unknown to publishers; its versions stay readable."""
        self._send("DELETE", _path(name))

    def publish_schema_version(
        self, name: str, schema: Mapping[str, Any], *, example: Any = None
    ) -> SchemaVersionDetail:
        """Make this the current version of an event type's schema."""
        body = {"schema": schema} if example is None else {"schema": schema, "example": example}
        made: SchemaVersionDetail = self._send("POST", f"{_path(name)}/versions", body)
        return made

    def get_schema_version(self, name: str, version: int) -> SchemaVersionDetail:
        """A version of an event type's schema."""
        found: SchemaVersionDetail = self._get(f"{_path(name)}/versions/{version}")
        return found

    def list_schema_versions(
        self, name: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[SchemaVersion]:
        """A page of the versions of an event type's schema, without the schemas."""
        page: Page[SchemaVersion] = self._get(f"{_path(name)}/versions", limit=limit, cursor=cursor)
        return page

    def validate_event(self, name: str, data: Any, *, version: int | None = None) -> Verdict:
        """Judge a sample, a value or a `Json`, by a version of the schema, else the current; nothing is published."""
        body = {"data": data} if version is None else {"data": data, "version": version}
        verdict: Verdict = self._send("POST", f"{_path(name)}/validate", body, repeatable=True)
        return verdict

    def import_event_types(
        self, document: Mapping[str, Any], *, dry_run: bool = False, **fields: Any
    ) -> EventTypeImport:
        """Make event types of the `webhooks` of an OpenAPI document; `dry_run` only tells what would be done."""
        body = {"document": document, "dry_run": dry_run, **fields}
        report: EventTypeImport = self._send("POST", "/v1/event-types/import", body, extra_wait=60.0)
        return report

    def get_event_type_settings(self) -> EventTypeSettings:
        """What becomes of events whose type is not in the catalogue, and when events are sent again."""
        found: EventTypeSettings = self._get(_SETTINGS)
        return found

    def update_event_type_settings(self, **fields: Any) -> EventTypeSettings:
        """Choose `unknown_event_types` (`allow`, `warn`, `enforce`) and `retry_policy`; what is left out stays."""
        chosen: EventTypeSettings = self._send("PATCH", _SETTINGS, fields)
        return chosen


def _path(name: str) -> str:
    return f"/v1/event-types/{part(name)}"
