"""`Idempotency-Key` for POST routes: key, work and answer commit together, so a repeat never works twice.

The answer is stored with the key and given again for as long as keys are kept. It must not hold a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from hub.access.idempotency import Replay, check_key, hash_body
from hub.access.idempotency_store import claim_key, finish_key
from hub.core.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from hub.access.principal import Principal
    from hub.web.services import Services

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

#: What a route's work gives back: HTTP status, answer, id of what was made.
Answer = tuple[int, BaseModel | dict[str, Any], UUID | None]


def run_idempotent(
    services: Services,
    caller: Principal,
    request_headers: Mapping[str, str],
    scope: str,
    body_bytes: bytes,
    work: Callable[[Connection], Answer],
) -> Response:
    """Do a request's work in one transaction, once for each key. Blocks: call it from a `def` route.

    Ring doorbells after this returns: before, the rows are not committed.

    Args:
        services: of this application.
        caller: whose key it is; tenants do not share keys.
        request_headers: may hold `Idempotency-Key`; without it the work is just done.
        scope: the kind of request, with the ids of its path when the path has any; with the API key where callers of
            one tenant must not be given each other's answers.
        body_bytes: the body as it was received: the same key with another body is refused.
        work: runs inside the transaction; an error undoes the key as well.

    Raises:
        IdempotencyKeyReused: the key was used with another body.
        Conflict: the first request with this key has not ended yet.
        HubError: what the work raises.
    """
    key = request_headers.get(HEADER.lower())
    if key is None:
        with services.engine.begin() as conn:
            status, answer, _ = work(conn)
        return JSONResponse(_as_json(answer), status)
    check_key(key)
    with services.engine.begin() as conn:
        outcome = claim_key(conn, caller.tenant_id, scope, key, hash_body(body_bytes))
        if isinstance(outcome, Replay):
            if outcome.status is None:
                raise Conflict(
                    "The first request with this Idempotency-Key has not ended yet; ask again in a moment."
                )
            return JSONResponse(outcome.response, outcome.status, headers={REPLAYED: "true"})
        status, answer, resource_id = work(conn)
        content = _as_json(answer)
        finish_key(
            conn, caller.tenant_id, scope, key, status=status, response=content, resource_id=resource_id
        )
    return JSONResponse(content, status)


def _as_json(answer: BaseModel | dict[str, Any]) -> Any:
    return answer.model_dump(mode="json") if isinstance(answer, BaseModel) else answer
