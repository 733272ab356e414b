"""Routes of an integration's versions: list, read, compare, roll back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from hub.access.principal import Principal
from hub.core.errors import Conflict, NotFound
from hub.integrations.registry import service, store, views
from hub.integrations.registry.changing import Reader, Writer, change, integration_uuid
from hub.integrations.registry.definition import draft_update
from hub.integrations.registry.documents import FIXED, differences, document_of
from hub.integrations.registry.schemas import (
    Change,
    Difference,
    Integration,
    IntegrationVersion,
    IntegrationVersionDetail,
    RollbackIn,
)
from hub.integrations.services import Workshop
from hub.web.answers import answer_with_etag
from hub.web.etags import check_version
from hub.web.parameters import IfMatch
from hub.web.services import Hub

router = APIRouter(tags=["Integrations"])

_MAX_VERSION = 2**31 - 1
VersionNumber = Annotated[int, Path(ge=1, le=_MAX_VERSION)]


@router.get("/integrations/{integration_id}/versions")
def list_versions(
    integration_id: str,
    caller: Reader,
    hub: Hub,
    before: Annotated[
        int | None, Query(ge=1, le=_MAX_VERSION, description="Only versions below this one.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[IntegrationVersion]:
    """List the versions of an integration, newest first."""
    with hub.engine.connect() as conn:
        row = service.get(conn, caller.tenant_id, integration_uuid(integration_id))
        rows = store.list_versions(conn, caller.tenant_id, row.id, before=before, limit=limit)
    return [views.version(one) for one in rows]


@router.get("/integrations/{integration_id}/versions/{version}")
def read_version(
    integration_id: str, version: VersionNumber, caller: Reader, hub: Hub
) -> IntegrationVersionDetail:
    """Read one version's document; it has the form of a request that creates the integration."""
    with hub.engine.connect() as conn:
        return views.version_detail(_version(conn, caller, integration_id, version))


@router.get("/integrations/{integration_id}/versions/{version}/diff")
def compare_versions(
    integration_id: str,
    version: VersionNumber,
    caller: Reader,
    hub: Hub,
    to: Annotated[int | None, Query(ge=1, le=_MAX_VERSION, description="Unset: the present one.")] = None,
) -> Difference:
    """What changed from one version to another."""
    with hub.engine.connect() as conn:
        before = _version(conn, caller, integration_id, version)
        if to is None:
            to = service.get(conn, caller.tenant_id, before.integration_id).version
        after = _version(conn, caller, integration_id, to)
    changes = [Change(**one) for one in differences(before.document, after.document)]
    return Difference(from_version=version, to_version=to, changes=changes)


@router.post("/integrations/{integration_id}/versions/{version}/rollback", response_model=Integration)
def roll_back(
    integration_id: str,
    version: VersionNumber,
    caller: Writer,
    hub: Hub,
    workshop: Workshop,
    body: RollbackIn | None = None,
    if_match: IfMatch = None,
) -> Response:
    """Make an old version the present one, as a new version. Secrets stay those of today where they still fit."""
    with hub.engine.connect() as conn:
        current = service.get(conn, caller.tenant_id, integration_uuid(integration_id))
        wanted = _version(conn, caller, integration_id, version)
    check_version(if_match, current.version)
    document = {name: value for name, value in wanted.document.items() if name not in FIXED}
    for name, given in (body or RollbackIn()).model_dump().items():
        if given:
            document[name] = {**(document[name] or {}), **given}
    if not differences({**document_of(current), **document}, document_of(current)):
        raise Conflict(f"Version {version} says the same as the present one.")
    changed = change(hub, workshop, caller, current, draft_update(document), "integration.rolled_back")
    return answer_with_etag(changed)


def _version(conn: Any, caller: Principal, integration_id: str, version: int) -> Any:
    row = store.find_version(conn, caller.tenant_id, integration_uuid(integration_id), version)
    if row is None:
        service.get(conn, caller.tenant_id, integration_uuid(integration_id))
        raise NotFound(f"The integration has no version {version}.")
    return row
