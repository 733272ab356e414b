"""The routes of endpoints: every field there and back, versions, isolation, refusals."""

from __future__ import annotations

from typing import Any

from tests.integration.webhooks.endpoints.conftest import Api

URL = "http://127.0.0.1:9/hook"
FULL: dict[str, Any] = {
    "description": "Books what was paid.",
    "kind": "events",
    "event_types": ["invoice.*", "user.made"],
    "labels": ["eu"],
    "filter": {"data.amount": {"$gt": 100}},
    "transformations": [{"pick": ["type", "data.id"]}],
    "headers": {"X-Tag": "blue"},
    "signature_profiles": [{"type": "stripe"}, {"type": "hmac", "header": "X-Webhook-Signature"}],
    "timeout_seconds": 7.5,
    "retry_policy": {
        "strategy": "exponential",
        "initial_seconds": 2.0,
        "max_retries": 4,
        "max_seconds": 60.0,
    },
    "max_in_flight": 3,
    "rate_limit": 10.0,
    "drain_rate": 5.0,
    "ordering": "strict",
    "batch": {"size": 10, "wait_seconds": 2.0},
    "ip_allow_list": ["192.0.2.0/24", "2001:db8::1"],
    "metadata": {"team": "books"},
    "challenge": False,
}


def test_every_field_is_kept_and_shown(api: Api) -> None:
    made = api.make(**FULL)
    detail = api.get(f"/endpoints/{made['id']}")
    assert {name: made[name] for name in FULL} == FULL == {name: detail[name] for name in FULL}
    assert (made["status"], made["version"], made["hold"]) == ("active", 1, None)
    assert made["created_by"].startswith("key_")
    assert detail["secret"]["last4"] == made["signing_secret"][-4:]
    assert detail["monitoring"]["delivery_rate"] is None
    assert made["signing_secret"] not in str(detail)
    (lane,) = api.world.sql(
        "SELECT max_in_flight, rate, drain_rate, batch_size, batch_wait FROM hub.delivery_lane"
    )
    assert lane == (3, 10.0, 5.0, 10, 2.0)


def test_defaults_leave_everything_to_the_deployment(api: Api) -> None:
    made = api.make()
    assert made["event_types"] == ["*"]
    assert made["batch"] == {"size": 1, "wait_seconds": 1.0}
    assert made["auth"] == {"mode": "none"}
    for name in ("filter", "timeout_seconds", "retry_policy", "max_in_flight", "rate_limit", "public_key"):
        assert made[name] is None, name
    assert api.world.sql("SELECT filter IS NULL AND retry_policy IS NULL FROM hub.endpoint") == [(True,)]


def test_what_is_left_out_of_a_change_stays_and_null_takes_back(api: Api) -> None:
    made = api.make(**FULL)
    changed = api.call("PATCH", f"/endpoints/{made['id']}", json={"filter": None, "rate_limit": None}).json()
    assert (changed["filter"], changed["rate_limit"], changed["version"]) == (None, None, 2)
    same = set(FULL) - {"filter", "rate_limit"}
    assert {name: changed[name] for name in same} == {name: FULL[name] for name in same}
    assert api.world.sql("SELECT rate, max_in_flight FROM hub.delivery_lane") == [(None, 3)]
    assert api.refused("PATCH", f"/endpoints/{made['id']}", {"headers": None}) == {"headers"}


def test_a_change_of_what_changed_meanwhile_is_refused(api: Api) -> None:
    made = api.make()
    path = f"/endpoints/{made['id']}"
    tag = api.call("GET", path).headers["ETag"]
    assert tag == '"1"'
    first = api.call("PATCH", path, json={"description": "a"}, headers={"If-Match": tag})
    assert (first.status_code, first.headers["ETag"]) == (200, '"2"')
    for method, body in (("PATCH", {"description": "b"}), ("DELETE", None)):
        stale = api.call(method, path, json=body, headers={"If-Match": tag})
        assert (stale.status_code, stale.json()["type"]) == (412, "/problems/precondition_failed")
    assert api.call("PATCH", path, json={}, headers={"If-Match": "2"}).status_code == 422
    assert api.get(path)["description"] == "a"
    assert api.call("PATCH", path, json={}, headers={"If-Match": '"9", "2"'}).status_code == 200
    assert api.call("DELETE", path, headers={"If-Match": "*"}).status_code == 204


ROUTES = [
    ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/verify"),
    ("POST", "/test"), ("GET", "/statistics"), ("POST", "/secret/rotate"), ("DELETE", "/secret/previous"),
    ("POST", "/key/rotate"), ("DELETE", "/key/previous"), ("GET", "/jwks"),
]  # fmt: skip


def test_no_route_reaches_another_tenants_endpoint(api: Api) -> None:
    made = api.make(asymmetric=True)
    for method, action in ROUTES:
        answer = api.call(method, f"/endpoints/{made['id']}{action}", key=api.strangers_key, json={})
        assert answer.status_code == 404, (action, answer.text)
    for action in ("pause", "resume"):
        path = f"/endpoints/{made['id']}/{action}"
        answer = api.call("POST", path, key=api.strangers_key, json={"backlog": "discard"})
        assert answer.status_code == 404, (action, answer.text)
    left = api.get(f"/endpoints/{made['id']}")
    assert (left["version"], left["status"]) == (1, "active")
    assert api.call("GET", "/endpoints", key=api.strangers_key).json()["data"] == []


def test_a_reader_changes_nothing(api: Api) -> None:
    made = api.make()
    for method, action in ROUTES:
        answer = api.call(method, f"/endpoints/{made['id']}{action}", key=api.readers_key, json={})
        assert answer.status_code == (200 if method == "GET" else 403), (action, answer.text)


REFUSED: list[tuple[dict[str, Any], set[str]]] = [
    ({"url": "http://10.0.0.1/"}, {"url"}),
    ({"url": "http://localhost.localdomain:70000/"}, {"url"}),
    ({"url": "http://user:word@127.0.0.1:9/"}, {"url"}),
    ({"url": "http://127.0.0.1:9/\r\nX-A: b"}, {"url"}),
    ({"url": "gopher://127.0.0.1:9/"}, {"url"}),
    ({"url": "http://127.0.0.1:9/" + "x" * 3000}, {"url"}),
    ({"name": "a\nb"}, {"name"}),
    ({"name": ""}, {"name"}),
    ({"nmae": "x"}, {"nmae"}),
    ({"headers": {"X-A": "a\r\nX-B: b"}}, {"headers.X-A"}),
    ({"headers": {"X-A": ""}}, {"headers.X-A"}),
    ({"headers": {"Authorization": "Bearer x"}}, {"headers.Authorization"}),
    ({"event_types": []}, {"event_types"}),
    ({"event_types": ["a..b"]}, {"event_types"}),
    ({"labels": ["x" * 65]}, {"labels.0"}),
    ({"filter": {"data.a": {"$near": 1}}}, {"filter.data.a.$near"}),
    ({"filter": {"data.a": {"$regex": "("}}}, {"filter.data.a.$regex"}),
    ({"transformations": [{"pick": []}]}, {"transformations[0].pick"}),
    ({"transformations": [{"jmespath": "data.["}]}, {"transformations[0].jmespath"}),
    ({"signature_profiles": [{"type": "paypal"}]}, {"signature_profiles.0.type"}),
    ({"signature_profiles": [{"type": "stripe"}] * 9}, {"signature_profiles"}),
    ({"headers": {"x-tag": "1"}, "signature_profiles": [{"type": "hmac", "header": "X-Tag"}]}, {"signature_profiles.0"}),
    ({"auth": {"mode": "basic", "username": "a:b", "password": "c"}}, {"auth.basic.username"}),
    ({"auth": {"mode": "bearer", "token": "a b"}}, {"auth.bearer.token"}),
    ({"auth": {"mode": "bearer"}}, {"auth.bearer.token"}),
    ({"auth": {"mode": "digest"}}, {"auth"}),
    ({"auth": {}}, {"auth"}),
    ({"auth": {"mode": "header", "name": "Content-Length", "value": "1"}}, {"auth.name"}),
    ({"auth": {"mode": "header", "name": "X-Key", "value": "a\r\nb"}}, {"auth.header.value"}),
    ({"auth": {"mode": "header", "name": "X-Tag", "value": "v"}, "headers": {"x-tag": "1"}}, {"auth.name"}),
    (
        {
            "auth": {
                "mode": "oauth2_client_credentials", "token_url": "http://10.0.0.1/t", "client_id": "a",
                "client_secret": "b",
            }
        },
        {"auth.token_url"},
    ),
    ({"client_certificate": {"certificate": "x", "key": "y"}}, {"client_certificate.certificate"}),
    ({"timeout_seconds": 0.5}, {"timeout_seconds"}),
    ({"timeout_seconds": 61}, {"timeout_seconds"}),
    ({"retry_policy": {"strategy": "fixed", "max_retries": 51}}, {"retry_policy.fixed.max_retries"}),
    ({"retry_policy": {"strategy": "never"}}, {"retry_policy"}),
    ({"retry_policy": {"schedule": [1]}}, {"retry_policy"}),
    ({"retry_policy": {"strategy": "schedule", "delays": [-1]}}, {"retry_policy.schedule.delays.0"}),
    ({"max_in_flight": 0}, {"max_in_flight"}),
    ({"rate_limit": 0}, {"rate_limit"}),
    ({"drain_rate": -1}, {"drain_rate"}),
    ({"batch": {"size": 1001}}, {"batch.size"}),
    ({"batch": {"wait_seconds": 61}}, {"batch.wait_seconds"}),
    ({"ip_allow_list": ["192.0.2.1/24"]}, {"ip_allow_list.0"}),
    ({"ip_allow_list": ["here"]}, {"ip_allow_list.0"}),
    ({"metadata": {"a": "x" * 513}}, {"metadata.a"}),
    ({"secret": "whsec_short"}, {"secret"}),
    ({"status": "active"}, {"status"}),
]  # fmt: skip


def test_what_cannot_be_is_refused_with_its_place_and_nothing_is_written(api: Api) -> None:
    for fields, paths in REFUSED:
        assert api.refused("POST", "/endpoints", {"name": "one", "url": URL, **fields}) == paths, fields
    written = "SELECT (SELECT count(*) FROM hub.endpoint), (SELECT count(*) FROM hub.secret)"
    assert api.world.sql(written) == [(0, 0)]


def test_what_cannot_be_is_no_change_either(api: Api) -> None:
    made = api.make()
    for fields, paths in REFUSED:
        if not set(fields) & {"secret", "nmae", "status"}:
            assert api.refused("PATCH", f"/endpoints/{made['id']}", fields) == paths, fields
    assert api.get(f"/endpoints/{made['id']}")["version"] == 1
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(1,)]


def test_no_refusal_repeats_a_secret(api: Api) -> None:
    for auth in (
        {"mode": "bearer", "token": "hunter2 hunter2"},
        {"mode": "header", "name": "X-Key", "value": "hunter2\r\n"},
        {"mode": "basic", "username": "a", "password": "hunter2\n"},
    ):
        answer = api.call("POST", "/endpoints", json={"name": "a", "url": URL, "auth": auth})
        assert answer.status_code == 422
        assert "hunter2" not in answer.text


def test_a_changed_field_must_fit_those_that_stay(api: Api) -> None:
    made = api.make(headers={"X-Tag": "1"})
    path = f"/endpoints/{made['id']}"
    assert api.refused("PATCH", path, {"auth": {"mode": "header", "name": "x-tag", "value": "v"}}) == {
        "auth.name"
    }
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(1,)]


def test_a_name_that_is_taken_is_a_conflict(api: Api) -> None:
    api.make(name="billing")
    assert api.refused("POST", "/endpoints", {"name": "billing", "url": URL}, 409) == {"name"}


def test_deleting_leaves_no_secret(api: Api) -> None:
    made = api.make(asymmetric=True, auth={"mode": "bearer", "token": "t" * 20})
    api.post(f"/endpoints/{made['id']}/secret/rotate", {})
    api.post(f"/endpoints/{made['id']}/key/rotate", {})
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(5,)]
    assert api.call("DELETE", f"/endpoints/{made['id']}").status_code == 204
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(0,)]
    assert api.call("GET", f"/endpoints/{made['id']}").status_code == 404
