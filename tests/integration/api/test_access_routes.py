from __future__ import annotations

from hub.access.scopes import Scope
from hub.core.ids import Kind, format_id
from tests.integration.api.conftest import RunningHub


def test_a_caller_learns_its_tenant_key_and_scopes(hub: RunningHub) -> None:
    token, key_id = hub.key(Scope.EVENTS_WRITE, Scope.ENDPOINTS_READ)
    me = hub.call("GET", "/v1/me", key=token).json()
    assert me["tenant"]["id"] == format_id(Kind.TENANT, hub.tenant.id)
    assert me["tenant"]["name"] == "acme"
    assert me["key_id"] == f"key_{key_id}"
    assert me["scopes"] == ["endpoints:read", "events:write"]


def test_an_opened_tenant_comes_with_a_key_that_works_there_and_only_there(hub: RunningHub) -> None:
    answer = hub.call("POST", "/v1/tenants", json={"name": "newcomer"})
    assert answer.status_code == 201
    opened = answer.json()
    token = opened["api_key"]["key"]
    me = hub.call("GET", "/v1/me", key=token).json()
    assert me["tenant"]["name"] == "newcomer"
    assert me["scopes"] == ["admin"]
    assert hub.call("GET", f"/v1/tenants/{opened['id']}", key=token).json()["name"] == "newcomer"
    assert hub.call("GET", f"/v1/tenants/{opened['id']}").status_code == 404


def test_only_a_key_with_admin_opens_a_tenant_and_the_documentation_says_so(hub: RunningHub) -> None:
    weak, _ = hub.key(*(scope for scope in Scope if scope is not Scope.ADMIN))
    answer = hub.call("POST", "/v1/tenants", key=weak, json={"name": "newcomer"})
    assert answer.status_code == 403
    document = hub.app.openapi()
    assert "open further tenants" in document["components"]["securitySchemes"]["api_key"]["description"]
    assert "`admin`" in document["paths"]["/v1/tenants"]["post"]["description"]
    scopes = document["components"]["schemas"]["ApiKeyCreate"]["properties"]["scopes"]
    assert "new tenants" in scopes["description"]


def test_a_tenants_name_is_taken_once(hub: RunningHub) -> None:
    answer = hub.call("POST", "/v1/tenants", json={"name": "acme"})
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/conflict"


def test_a_tenants_name_has_a_form(hub: RunningHub) -> None:
    answer = hub.call("POST", "/v1/tenants", json={"name": "No Spaces"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "name"


def test_a_new_key_is_shown_once_and_works_until_it_is_revoked(hub: RunningHub) -> None:
    body = {"name": "billing", "scopes": ["events:read"], "expires_at": "2199-01-01T00:00:00+02:00"}
    created = hub.call("POST", "/v1/api-keys", json=body).json()
    token = created.pop("key")
    assert created["expires_at"] == "2198-12-31T22:00:00Z"
    assert hub.call("GET", "/v1/me", key=token).json()["scopes"] == ["events:read"]

    listed = hub.call("GET", "/v1/api-keys")
    assert created in listed.json()["data"]
    assert token.rsplit("_", 1)[1] not in listed.text

    hub.services.authenticator.authenticate(token)
    assert hub.call("DELETE", f"/v1/api-keys/{created['id']}").status_code == 204
    row = next(row for row in hub.call("GET", "/v1/api-keys").json()["data"] if row["id"] == created["id"])
    assert row["revoked_at"] is not None


def test_pages_join_into_the_whole_list_newest_first(hub: RunningHub) -> None:
    for _ in range(4):
        hub.key(Scope.EVENTS_READ)
    whole = [row["id"] for row in hub.call("GET", "/v1/api-keys").json()["data"]]
    assert len(whole) == 5
    assert whole == sorted(whole, reverse=True)
    joined, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = hub.call("GET", "/v1/api-keys", params={"limit": 2, "cursor": cursor}).json()
        joined += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
        pages += 1
    assert joined == whole
    assert pages == 3


def test_a_repeat_of_one_key_creation_makes_another_key(hub: RunningHub) -> None:
    """Its text may not be stored, so there is no answer to repeat."""
    body = {"name": "billing", "scopes": ["events:read"]}
    headers = {"Idempotency-Key": "k-1"}
    first = hub.call("POST", "/v1/api-keys", json=body, headers=headers).json()
    second = hub.call("POST", "/v1/api-keys", json=body, headers=headers).json()
    assert first["id"] != second["id"]


def test_the_audit_log_tells_of_tenants_and_keys_and_holds_none(hub: RunningHub) -> None:
    body = {"name": "billing", "scopes": ["events:read"], "roles": ["desk"]}
    created = hub.call("POST", "/v1/api-keys", json=body).json()
    assert hub.call("DELETE", f"/v1/api-keys/{created['id']}").status_code == 204
    opened = hub.call("POST", "/v1/tenants", json={"name": "newcomer"}).json()
    me = hub.call("GET", "/v1/me").json()["key_id"]

    answer = hub.call("GET", "/v1/audit")
    assert created["key"].rsplit("_", 1)[1] not in answer.text
    told = [(one["action"], one["subject"], one["actor"], one["details"]) for one in answer.json()["data"]]
    details = {"name": "billing", "scopes": ["events:read"], "roles": ["desk"], "expires_at": None}
    assert told == [
        ("tenant.opened", opened["id"], me, {"name": "newcomer"}),
        ("api_key.revoked", created["id"], me, {"name": "billing"}),
        ("api_key.created", created["id"], me, details),
    ]
    theirs = hub.call("GET", "/v1/audit", key=opened["api_key"]["key"])
    (entry,) = theirs.json()["data"]
    assert (entry["action"], entry["subject"], entry["actor"]) == (
        "api_key.created", opened["api_key"]["id"], None,
    )  # fmt: skip
