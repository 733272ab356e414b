"""What holds for every route: bad input, wrong callers, headers, and a database that is away."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from fastapi import APIRouter

from hub.access.authenticator import Authenticator
from hub.access.issuing import issue_key, open_tenant
from hub.access.scopes import Scope
from hub.api.app import create_app
from hub.api.protocol import MAX_HEAD_BYTES
from hub.core.ids import Kind, format_id, new_uuid
from hub.core.settings import Settings
from hub.db.engine import make_engine
from hub.db.migrate import upgrade
from hub.embedded.postgres import EmbeddedPostgres
from hub.web.services import Services
from tests.integration.api.conftest import Bell, RunningHub, serving, wait_for
from tests.support.waiting import in_time

JSON = {"Content-Type": "application/json"}
NEW_KEY = {"name": "billing", "scopes": ["events:write"]}


def assert_problem(
    answer: requests.Response, status: int, code: str, path: str | None = None
) -> dict[str, Any]:
    """The answer is a problem of this kind that names this field, and tells nothing of our inside."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    if path is not None:
        assert path in [error["path"] for error in problem["errors"]], problem
    for trace in ("Traceback", 'File "', ".py", "sqlalchemy", "psycopg", "SELECT"):
        assert trace not in answer.text
    return problem


BAD_BODIES = [
    (b"", 422, "invalid_input", ""),
    (b"{", 400, "malformed_input", ""),
    (b'{"name": "x"', 400, "malformed_input", ""),
    (b"\xff\xfe", 400, "malformed_input", ""),
    (b'{"name": NaN}', 400, "malformed_input", ""),
    (b'{"name": 1e999}', 400, "malformed_input", ""),
    (b'{"name": "a", "scopes": [], "name": "b"}', 400, "malformed_input", "name"),
    (b'{"name": "a\\u0000"}', 422, "invalid_input", "name"),
    (b'{"name": "\\ud800"}', 422, "invalid_input", "name"),
    (b"[" * 17 + b"]" * 17, 413, "too_large", ""),
    (b"[" * 9000 + b"]" * 9000, 413, "too_large", ""),
    (b'"' + b"a" * 20_000 + b'"', 413, "too_large", ""),
    (b"[]", 422, "invalid_input", ""),
    (b"null", 422, "invalid_input", ""),
    (b'{"scopes": ["admin"]}', 422, "invalid_input", "name"),
    (b'{"name": 7, "scopes": ["admin"]}', 422, "invalid_input", "name"),
    (b'{"name": "a", "scopes": "admin"}', 422, "invalid_input", "scopes"),
    (b'{"name": "a", "scopes": ["admin", "root"]}', 422, "invalid_input", "scopes.1"),
    (b'{"name": "a", "scopes": []}', 422, "invalid_input", "scopes"),
    (b'{"name": "", "scopes": ["admin"]}', 422, "invalid_input", "name"),
    (b'{"name": "a", "scopes": ["admin"], "scope": 1}', 422, "invalid_input", "scope"),
    (b'{"name": "a", "scopes": ["admin"], "expires_at": "soon"}', 422, "invalid_input", "expires_at"),
    (
        b'{"name": "a", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00"}',
        422,
        "invalid_input",
        "expires_at",
    ),
    (
        b'{"name": "a", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"}',
        422,
        "invalid_input",
        "expires_at",
    ),
    (
        b'{"name": "a", "scopes": ["admin"], "expires_at": "9999-12-31T23:59:59-23:59"}',
        422,
        "invalid_input",
        "expires_at",
    ),
]


def test_a_bad_body_is_refused_with_its_field_and_nothing_is_written(
    hub: RunningHub, subtests: pytest.Subtests
) -> None:
    before = hub.call("GET", "/v1/api-keys").json()
    for body, status, code, path in BAD_BODIES:
        with subtests.test(repr(body[:80])):
            assert_problem(hub.call("POST", "/v1/api-keys", data=body, headers=JSON), status, code, path)
    assert hub.call("GET", "/v1/api-keys").json() == before


BAD_ADDRESSES = [
    ("GET", "/v1/api-keys?limit=0", 422, "invalid_input", "query.limit"),
    ("GET", "/v1/api-keys?limit=251", 422, "invalid_input", "query.limit"),
    ("GET", "/v1/api-keys?limit=many", 422, "invalid_input", "query.limit"),
    ("GET", "/v1/api-keys?cursor=nonsense", 422, "invalid_input", "query.cursor"),
    ("GET", "/v1/api-keys?cursor=" + "A" * 65, 422, "invalid_input", "query.cursor"),
    ("GET", "/v1/api-keys?cursor=%00", 400, "malformed_input", "query"),
    ("GET", "/v1/tenants/ten_1", 422, "invalid_input", "path.tenant_id"),
    ("GET", f"/v1/tenants/{format_id(Kind.API_KEY, new_uuid())}", 422, "invalid_input", "path.tenant_id"),
    ("GET", f"/v1/tenants/{format_id(Kind.TENANT, new_uuid())}", 404, "not_found", None),
    ("DELETE", f"/v1/api-keys/{format_id(Kind.API_KEY, new_uuid())}", 404, "not_found", None),
    ("GET", "/v1/tenants/%00", 400, "malformed_input", "path"),
    ("GET", "/v1/nowhere", 404, "not_found", None),
    ("GET", "/v1/me/", 404, "not_found", None),
    ("POST", "/nowhere", 404, "not_found", None),
    ("PUT", "/v1/me", 405, "method_not_allowed", None),
    ("PUT", "/v1/events", 405, "method_not_allowed", None),
    ("DELETE", "/in/src_1", 405, "method_not_allowed", None),
    ("TRACE", "/v1/me", 405, "method_not_allowed", None),
]


def test_a_bad_address_is_refused(hub: RunningHub, subtests: pytest.Subtests) -> None:
    for method, path, status, code, field in BAD_ADDRESSES:
        with subtests.test(f"{method} {path}"):
            assert_problem(hub.call(method, path), status, code, field)


def test_a_wrong_method_names_all_methods_of_the_path(hub: RunningHub) -> None:
    answer = hub.call("PUT", "/v1/api-keys")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"


def test_a_body_that_does_not_say_it_is_json_is_refused(hub: RunningHub, subtests: pytest.Subtests) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", None):
        with subtests.test(content_type):
            answer = hub.call(
                "POST",
                "/v1/api-keys",
                data=json.dumps(NEW_KEY).encode(),
                headers={"Content-Type": content_type},
            )
            assert_problem(answer, 415, "unsupported_media_type", "header.Content-Type")


STRANGERS = [
    None,
    "",
    "Bearer",
    "Basic aHViOmh1Yg==",
    "Bearer hub_nonsense",
    "Bearer " + "hub_" + "0" * 32 + "_" + "A" * 49,
    "Bearer \u00fc",
]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/me"), ("POST", "/v1/api-keys"), ("POST", "/v1/events"), ("GET", "/v1/endpoints")],
)
def test_a_stranger_is_refused_before_the_body_is_looked_at(
    hub: RunningHub, subtests: pytest.Subtests, method: str, path: str
) -> None:
    body = b"{" if method == "POST" else None
    for authorization in STRANGERS:
        with subtests.test(authorization):
            headers: dict[str, str | bytes] = dict(JSON)
            if authorization is not None:
                headers["Authorization"] = authorization.encode("latin-1")
            answer = hub.call(method, path, key=None, data=body, headers=headers)
            assert_problem(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_works_until_it_expires(hub: RunningHub) -> None:
    expires = datetime.now(UTC) + timedelta(seconds=0.5)
    token, _ = hub.key(Scope.EVENTS_READ, expires_at=expires)
    assert hub.call("GET", "/v1/me", key=token).status_code == 200
    wait_for(lambda: datetime.now(UTC) > expires, "the key to expire")
    assert_problem(hub.call("GET", "/v1/me", key=token), 401, "unauthenticated")


def test_a_key_without_the_scope_is_told_which_one_it_lacks(hub: RunningHub) -> None:
    token, _ = hub.key(Scope.EVENTS_WRITE)
    problem = assert_problem(hub.call("GET", "/v1/api-keys", key=token), 403, "forbidden")
    assert "admin" in problem["detail"]


def test_what_belongs_to_another_tenant_looks_like_nothing(hub: RunningHub) -> None:
    other = hub.new_tenant("other")
    _, key_id = hub.key(Scope.EVENTS_READ, tenant=other)
    assert_problem(hub.call("GET", f"/v1/tenants/{format_id(Kind.TENANT, other.id)}"), 404, "not_found")
    assert_problem(hub.call("DELETE", f"/v1/api-keys/key_{key_id}"), 404, "not_found")
    assert key_id not in hub.call("GET", "/v1/api-keys").text


def test_an_oversized_body_is_refused_by_its_declared_length_before_it_is_sent(hub: RunningHub) -> None:
    address = urlsplit(hub.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    connection.putrequest("POST", "/v1/events")
    connection.putheader("Authorization", f"Bearer {hub.admin_key}")
    connection.putheader("Content-Length", "1000000")
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert json.load(answer)["type"] == "/problems/too_large"
    connection.close()


def test_an_oversized_body_in_chunks_is_refused_on_the_way(hub: RunningHub) -> None:
    def chunks() -> Any:
        for _ in range(30):
            yield b" " * 1000

    for path in ("/v1/events", "/v1/api-keys"):
        assert_problem(hub.call("POST", path, data=chunks(), headers=JSON), 413, "too_large", "")


def test_a_head_that_does_not_end_is_cut_off(hub: RunningHub) -> None:
    address = urlsplit(hub.url)
    sent = 0
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as raw:
        raw.sendall(b"GET /v1/me HTTP/1.1\r\nHost: hub\r\nX-Long: ")
        try:
            while sent < 100 * MAX_HEAD_BYTES:
                raw.sendall(b"a" * 10_000)
                sent += 10_000
            answer = raw.recv(100)
        except OSError:
            answer = b""  # reset while we were still sending
    assert sent < 100 * MAX_HEAD_BYTES
    assert not answer or answer.startswith(b"HTTP/1.1 431")


def test_what_is_not_http_gets_a_problem_too(hub: RunningHub) -> None:
    answer = hub.call("BREW", "/v1/me")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/bad_request"


def test_every_answer_carries_an_id_and_safe_headers(hub: RunningHub) -> None:
    for answer in (
        hub.call("GET", "/v1/me"),
        hub.call("GET", "/nowhere"),
        hub.call("GET", "/healthz", key=None),
    ):
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["server"] == "integration-hub"


def test_a_callers_request_id_is_kept_when_it_is_plain(hub: RunningHub) -> None:
    for sent, kept in (("trace-1.A_b", True), ("a" * 65, False), ("a b", False), ("\u00fc", False)):
        answer = hub.call("GET", "/v1/me", headers={"X-Request-Id": sent.encode("latin-1")})
        assert (answer.headers["x-request-id"] == sent) is kept, sent


def test_an_unexpected_error_is_told_without_a_trace_and_logged_with_it(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    broken = APIRouter()

    @broken.get("/broken")
    def fail() -> None:
        raise RuntimeError("the canary sentence")

    app = create_app(services)
    app.include_router(broken)
    with serving(app, services.settings) as url, caplog.at_level(logging.ERROR):
        answer = requests.get(f"{url}/broken", timeout=5)
    problem = assert_problem(answer, 500, "internal_error")
    assert "canary" not in answer.text
    logged = [record for record in caplog.records if problem["request_id"] in record.getMessage()]
    assert len(logged) == 1
    assert logged[0].exc_info is not None
    assert "canary" in str(logged[0].exc_info[1])


def test_a_database_that_went_away_is_a_503_within_two_seconds_and_heals(
    servers_dir: Path, settings: Settings, services: Services, bell: Bell
) -> None:
    """On a Postgres of its own, which is stopped and started again."""
    home = servers_dir / "away"
    home.mkdir(mode=0o711)
    server = EmbeddedPostgres(home, durable=False)
    url = server.start()
    upgrade(url)
    engine = make_engine(url)
    with engine.begin() as conn:
        tenant = open_tenant(conn, "acme")
        _, token = issue_key(conn, tenant.id, "admin", [Scope.ADMIN])
    own = replace(services, engine=engine, authenticator=Authenticator(engine))
    with serving(create_app(own), settings) as base:
        hub = RunningHub(base, create_app(own), own, bell, tenant, token.reveal())
        assert hub.call("GET", "/v1/me").status_code == 200
        assert hub.call("GET", "/readyz", key=None).status_code == 200
        server.stop()
        for method, path, body in (
            ("GET", "/v1/me", None),
            ("POST", "/v1/api-keys", NEW_KEY),
            ("POST", "/v1/events", {"type": "a.b", "data": 1}),
        ):
            answer = in_time(2, lambda: hub.call(method, path, json=body))  # noqa: B023 - it is called at once
            assert_problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        ready = hub.call("GET", "/readyz", key=None)
        assert ready.status_code == 503
        assert {part["name"]: part["ok"] for part in ready.json()["parts"]} == {
            "database": False,
            "redis": True,
        }
        assert hub.call("GET", "/healthz", key=None).status_code == 200
        assert "hub_ledger_readable 0.0" in hub.call("GET", "/metrics", key=None).text
        server.start()
        assert hub.call("GET", "/v1/me").status_code == 200
        assert hub.call("GET", "/readyz", key=None).status_code == 200
    engine.dispose()
    server.stop()


def test_the_openapi_document_describes_every_route_and_its_problems(hub: RunningHub) -> None:
    document = hub.call("GET", "/openapi.json", key=None).json()
    assert document["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"
    assert "HTTPValidationError" not in json.dumps(document)
    publish = document["paths"]["/v1/events"]["post"]
    assert publish["requestBody"]["content"]["application/json"]["examples"]
    for noun in ("endpoint", "integration"):
        routes = document["paths"][f"/v1/{noun}s/{{{noun}_id}}"]
        assert {method for method, route in routes.items() if "412" in route["responses"]} == {
            "patch",
            "delete",
        }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["tags"], (method, path)
            if not path.startswith("/v1/"):
                continue
            assert operation["security"], (method, path)
            for status in ("401", "403", "422", "503"):
                content = operation["responses"][status]["content"]
                assert content == {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }


def test_the_publish_route_takes_an_event_and_rings(hub: RunningHub) -> None:
    answer = hub.call("POST", "/v1/events", json={"type": "invoice.paid", "data": {"a": 1}})
    assert answer.status_code == 202
    assert answer.json()["status"] == "accepted"
    assert hub.bell.rings


BAD_EVENTS = [
    (b'{"type": "a.b", "data": {"x": 1, "x": 2}}', 400, "malformed_input", "data.x"),
    (b'{"type": "a.b"}', 422, "invalid_input", None),
    (b'{"type": "a.b", "data": 1, "more": 1}', 422, "invalid_input", None),
    (b'{"type": "a.b", "data": "\\u0000"}', 422, "invalid_input", "data"),
    (b"[]", 422, "invalid_input", ""),
]


def test_the_publish_route_refuses_what_the_others_refuse(hub: RunningHub, subtests: pytest.Subtests) -> None:
    for body, status, code, path in BAD_EVENTS:
        with subtests.test(repr(body)):
            assert_problem(hub.call("POST", "/v1/events", data=body, headers=JSON), status, code, path)
    assert hub.call("GET", "/v1/events").json()["data"] == []


def test_no_process_outlives_the_api(services: Services) -> None:
    with services.engine.begin() as conn:
        tenant = open_tenant(conn, "acme")
        _, token = issue_key(conn, tenant.id, "admin", [Scope.ADMIN])
    app = create_app(services)
    before = children()
    with serving(app, services.settings) as url:
        answer = requests.post(
            f"{url}/v1/transformations/preview",
            json={"transformations": [{"jsonata": "1 + 1"}], "sample": {}},
            headers={"Authorization": f"Bearer {token.reveal()}"},
            timeout=30,
        )
        assert answer.json()["document"] == 2
        assert children() > before, "expressions run in processes of their own"
    wait_for(lambda: children() <= before, "the children to end")


def children() -> set[int]:
    """The processes that this one started."""
    me = os.getpid()
    found = Path(f"/proc/{me}/task").glob("*/children")
    return {int(pid) for one in found for pid in one.read_text().split()}
