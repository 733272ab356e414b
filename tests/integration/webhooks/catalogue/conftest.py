"""A tenant's catalogue in a real Postgres, worked on through the same functions as the routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, Row

from hub.access.issuing import open_tenant
from hub.access.principal import Principal
from hub.access.scopes import Scope
from hub.core.ids import new_uuid
from hub.webhooks.catalogue import event_types
from hub.webhooks.catalogue.schemas import EventTypeCreate, EventTypeUpdate, SettingsUpdate
from tests.integration.api.conftest import RunningHub, bell, hub, services, settings

__all__ = ["RunningHub", "bell", "hub", "services", "settings"]


@dataclass
class Shelf:
    """One tenant's catalogue."""

    engine: Engine
    caller: Principal

    @property
    def tenant_id(self) -> UUID:
        return self.caller.tenant_id

    def create(self, name: str = "invoice.paid", **fields: Any) -> Row[Any]:
        body = EventTypeCreate.model_validate({"name": name, **fields})
        if body.schema_ is not None:
            event_types.check_schema(body.schema_, body.example)
        with self.engine.begin() as conn:
            return event_types.create(conn, self.caller, body)

    def change(self, name: str = "invoice.paid", **fields: Any) -> Row[Any]:
        with self.engine.begin() as conn:
            return event_types.change(conn, self.caller, name, EventTypeUpdate.model_validate(fields))

    def publish(self, schema: Any, name: str = "invoice.paid", example: Any = None) -> Row[Any]:
        event_types.check_schema(schema, example)
        with self.engine.begin() as conn:
            return event_types.publish_version(conn, self.caller, name, schema, example)

    def archive(self, name: str = "invoice.paid") -> None:
        with self.engine.begin() as conn:
            event_types.archive(conn, self.caller, name)

    def choose(self, **fields: Any) -> Row[Any]:
        with self.engine.begin() as conn:
            return event_types.choose_settings(conn, self.caller, SettingsUpdate.model_validate(fields))


def new_shelf(engine: Engine, tenant: str) -> Shelf:
    with engine.begin() as conn:
        tenant_id = open_tenant(conn, tenant).id
    return Shelf(engine, Principal(tenant_id, new_uuid(), frozenset({Scope.ADMIN})))


@pytest.fixture
def shelf(engine: Engine) -> Shelf:
    return new_shelf(engine, "acme")


@pytest.fixture
def other(engine: Engine) -> Shelf:
    return new_shelf(engine, "globex")
