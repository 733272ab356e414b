"""`run_idempotent` behind a real route."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
import requests
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, text

from hub.access.issuing import issue_key, open_tenant
from hub.access.principal import Principal
from hub.access.scopes import Scope
from hub.api.app import create_app
from hub.core.errors import Conflict
from hub.web.auth import requires
from hub.web.idempotency import run_idempotent
from hub.web.parameters import RawBody
from hub.web.services import Hub, Services
from tests.integration.api.conftest import Bell, RunningHub, serving

Writer = Annotated[Principal, requires("endpoints:write")]


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str


def _routes() -> APIRouter:
    router = APIRouter()

    @router.post("/v1/things", status_code=201)
    def make(body: Thing, raw: RawBody, request: Request, hub: Hub, caller: Writer) -> Response:
        def work(conn: Connection) -> tuple[int, dict[str, Any], None]:
            number = conn.scalar(
                text("INSERT INTO thing (name) VALUES (:name) RETURNING id"), {"name": body.name}
            )
            if body.name == "clash":
                raise Conflict("It clashes.")
            return 201, {"id": number, "name": body.name}, None

        return run_idempotent(hub, caller, request.headers, "things.create", raw, work)

    return router


@pytest.fixture
def hub(services: Services, bell: Bell) -> Iterator[RunningHub]:
    with services.engine.begin() as conn:
        conn.execute(text("CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY, name text)"))
        tenant = open_tenant(conn, "acme")
        _, token = issue_key(conn, tenant.id, "admin", [Scope.ADMIN])
    app = create_app(services)
    app.include_router(_routes())
    with serving(app, services.settings) as url:
        yield RunningHub(url, app, services, bell, tenant, token.reveal())


def things(hub: RunningHub) -> int:
    with hub.services.engine.connect() as conn:
        return int(conn.scalar(text("SELECT count(*) FROM thing")) or 0)


def make(hub: RunningHub, name: str, key: str | None, *, token: str = "") -> requests.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return hub.call("POST", "/v1/things", key=token, json={"name": name}, headers=headers)


def test_a_repeat_gets_the_first_answer_and_works_once(hub: RunningHub) -> None:
    first, second = make(hub, "a", "k1"), make(hub, "a", "k1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert things(hub) == 1


def test_without_a_key_each_request_works(hub: RunningHub) -> None:
    assert make(hub, "a", None).json() != make(hub, "a", None).json()
    assert things(hub) == 2


def test_the_same_key_with_another_body_is_refused(hub: RunningHub) -> None:
    make(hub, "a", "k1")
    answer = make(hub, "b", "k1")
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/idempotency_key_reused"
    assert answer.json()["errors"][0]["path"] == "header.Idempotency-Key"
    assert things(hub) == 1


def test_tenants_do_not_share_keys(hub: RunningHub) -> None:
    token, _ = hub.key(Scope.ENDPOINTS_WRITE, tenant=hub.new_tenant("other"))
    make(hub, "a", "k1")
    assert make(hub, "b", "k1", token=token).status_code == 201
    assert things(hub) == 2


def test_failed_work_leaves_the_key_free(hub: RunningHub) -> None:
    assert make(hub, "clash", "k1").status_code == 409
    assert things(hub) == 0
    assert make(hub, "a", "k1").status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "k" * 256])
def test_a_key_of_another_form_is_refused(hub: RunningHub, key: str) -> None:
    answer = make(hub, "a", key)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "header.Idempotency-Key"
    assert things(hub) == 0


def test_twenty_repeats_at_once_work_once(hub: RunningHub) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: make(hub, "a", "k1"), range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert things(hub) == 1
