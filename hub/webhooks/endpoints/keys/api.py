"""Routes of what endpoints sign with: rotation, the end of an overlap, public keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from sqlalchemy import Row

from hub.access.principal import Principal
from hub.core.errors import NotFound
from hub.web.auth import requires
from hub.web.problems import MEDIA_TYPE
from hub.web.services import Hub, Services
from hub.webhooks.endpoints import rotation, schemas, store, views
from hub.webhooks.endpoints.answers import endpoint_of, tagged, with_secret
from hub.webhooks.endpoints.overlap import live
from hub.webhooks.signing import jwk_of

#: Under the routes of endpoints, with their tag.
router = APIRouter()
#: Routes that need no API key, outside of `/v1`.
public = APIRouter(tags=["Endpoints"])

Reader = Annotated[Principal, requires("endpoints:read")]
Writer = Annotated[Principal, requires("endpoints:write")]


@router.post("/endpoints/{endpoint_id}/secret/rotate", summary="Give an endpoint a new signing secret")
def rotate_secret(
    endpoint_id: str,
    response: Response,
    hub: Hub,
    caller: Writer,
    body: schemas.SecretRotation = schemas.SecretRotation(),
) -> views.EndpointSecret:
    """Deliveries carry the signatures of both for the overlap. The new secret is in this answer and never again."""
    with hub.engine.begin() as conn:
        row, secret = rotation.rotate_secret(
            conn, caller, endpoint_of(endpoint_id), body, vault=hub.vault, now=datetime.now(UTC)
        )
        return with_secret(conn, row, secret, hub, response)


@router.delete("/endpoints/{endpoint_id}/secret/previous", summary="End the overlap of signing secrets")
def end_secret_overlap(endpoint_id: str, response: Response, hub: Hub, caller: Writer) -> views.Endpoint:
    """Only the current secret signs from now on."""
    return _end_overlap(endpoint_id, "previous_secrets", response, hub, caller)


@router.post("/endpoints/{endpoint_id}/key/rotate", summary="Give an endpoint a new ed25519 key")
def rotate_key(
    endpoint_id: str,
    response: Response,
    hub: Hub,
    caller: Writer,
    body: schemas.KeyRotation = schemas.KeyRotation(),
) -> views.Endpoint:
    """Both keys sign for the overlap, and both public keys are published."""
    with hub.engine.begin() as conn:
        row = rotation.rotate_key(
            conn, caller, endpoint_of(endpoint_id), body, vault=hub.vault, now=datetime.now(UTC)
        )
        return views.Endpoint(**tagged(conn, row, hub, response))


@router.delete("/endpoints/{endpoint_id}/key/previous", summary="End the overlap of ed25519 keys")
def end_key_overlap(endpoint_id: str, response: Response, hub: Hub, caller: Writer) -> views.Endpoint:
    """Only the current key signs from now on."""
    return _end_overlap(endpoint_id, "previous_keys", response, hub, caller)


@router.get("/endpoints/{endpoint_id}/jwks", summary="Public keys of an endpoint")
def read_keys(endpoint_id: str, hub: Hub, caller: Reader) -> views.JsonWebKeys:
    """Its current ed25519 key and those that still sign; empty without one."""
    with hub.engine.connect() as conn:
        return _keys(store.find_endpoint(conn, caller.tenant_id, endpoint_of(endpoint_id)))


_PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


@public.get(
    "/jwks/{endpoint_id}",
    summary="Public keys of an endpoint, for its receiver",
    responses={
        404: {"description": "There are none.", **_PROBLEM},
        422: {"description": "Not an id.", **_PROBLEM},
    },
)
def read_public_keys(endpoint_id: str, response: Response, hub: Hub) -> views.JsonWebKeys:
    """Needs no API key: whoever receives from the endpoint verifies `v1a` signatures with these."""
    with hub.engine.connect() as conn:
        row = store.find_keyed(conn, endpoint_of(endpoint_id))
    if row is None:
        raise NotFound(f"There are no public keys of {endpoint_id}.")
    # As long as an overlap of an hour lets a receiver miss nothing.
    response.headers["Cache-Control"] = "public, max-age=300"
    return _keys(row)


def _end_overlap(
    endpoint_id: str, column: str, response: Response, hub: Services, caller: Principal
) -> views.Endpoint:
    with hub.engine.begin() as conn:
        row = rotation.end_overlap(conn, caller, endpoint_of(endpoint_id), column, vault=hub.vault)
        return views.Endpoint(**tagged(conn, row, hub, response))


def _keys(row: Row[Any]) -> views.JsonWebKeys:
    older = [one.public_key for one in live(row.previous_keys, datetime.now(UTC))]
    return views.JsonWebKeys(keys=[jwk_of(key) for key in (row.public_key, *older) if key is not None])
