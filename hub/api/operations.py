"""Routes for whoever runs the hub: `/healthz`, `/readyz`, `/metrics`. No key, no tenant's data."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from hub.api.metrics import LedgerDepth, exposition
from hub.api.readiness import Readiness

router = APIRouter(tags=["Operations"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class PartView(BaseModel):
    """One part."""

    name: str = Field(examples=["database"])
    ok: bool
    needed: bool = Field(description="False: told, but traffic is taken without it.")
    detail: str = Field(examples=["answers"])


class Ready(BaseModel):
    """Which parts are ready."""

    status: Literal["ready", "not_ready"]
    parts: list[PartView]


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Alive:
    """Says nothing about the database: restarting this process would not mend it."""
    return Alive()


@router.get("/readyz", summary="May it get traffic?", responses={503: {"model": Ready}})
async def readyz(request: Request, response: Response) -> Ready:
    """200 when the database answers, migrations are at head and the vault's canary opens; else 503."""
    readiness: Readiness = request.app.state.readiness
    parts = await readiness.look()
    ready = all(part.ok for part in parts if part.needed)
    response.status_code = 200 if ready else 503
    return Ready(
        status="ready" if ready else "not_ready",
        parts=[PartView(name=p.name, ok=p.ok, needed=p.needed, detail=p.detail) for p in parts],
    )


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Text format. Ledger counts are at most five seconds old."""
    depth: LedgerDepth = request.app.state.ledger_depth
    return Response(await run_in_threadpool(exposition, depth), media_type=CONTENT_TYPE_LATEST)
