"""How the receiver knows the hub: sent with every delivery, shown nowhere."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.integration.integrations.provider import Answer, Call, Provider
from tests.integration.webhooks.endpoints.conftest import Api, row_id

WORD = "correct-horse-battery"


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (
            {"mode": "basic", "username": "me", "password": WORD},
            "authorization",
            "Basic " + base64.b64encode(f"me:{WORD}".encode()).decode(),
        ),
        ({"mode": "bearer", "token": WORD}, "authorization", f"Bearer {WORD}"),
        ({"mode": "header", "name": "X-Api-Key", "value": WORD}, "x-api-key", WORD),
        (
            {"mode": "header", "name": "Authorization", "value": f"ApiKey {WORD}"},
            "authorization",
            f"ApiKey {WORD}",
        ),
    ],
    ids=["basic", "bearer", "header", "own scheme"],
)
def test_credentials_go_with_every_delivery_and_are_shown_nowhere(
    api: Api, receiver: Provider, auth: dict[str, str], header: str, value: str
) -> None:
    made = api.make(receiver.url, auth=auth)
    hidden = {"basic": "password", "bearer": "token", "header": "value"}[auth["mode"]]
    assert made["auth"] == {name: text for name, text in auth.items() if name != hidden}
    assert made["auth_secret"]["last4"] == WORD[-4:]
    api.world.publish("{}")
    api.world.deliver()
    assert receiver.calls[0].headers[header] == value
    (delivery,) = api.get("/deliveries")["data"]
    shown = api.get(f"/deliveries/{delivery['id']}")
    assert shown["attempt_log"][0]["request_headers"][header] == "***"
    everything = f"{made}{shown}{api.get('/endpoints')}" + str(
        api.world.sql("SELECT e::text, s::text FROM hub.endpoint e, hub.secret s")
    )
    assert WORD not in everything
    assert base64.b64encode(f"me:{WORD}".encode()).decode() not in everything


def test_new_credentials_replace_the_old_ones(api: Api, receiver: Provider) -> None:
    made = api.make(receiver.url, auth={"mode": "bearer", "token": WORD})
    path = f"/endpoints/{made['id']}"
    api.call("PATCH", path, json={"auth": {"mode": "bearer", "token": "another-token-here"}})
    api.world.publish("{}")
    api.world.deliver()
    assert receiver.calls[0].headers["authorization"] == "Bearer another-token-here"
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(2,)]
    none = api.call("PATCH", path, json={"auth": {"mode": "none"}}).json()
    assert (none["auth"], none["auth_secret"]) == ({"mode": "none"}, None)
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(1,)]
    api.world.publish("{}")
    api.world.deliver()
    assert "authorization" not in receiver.calls[1].headers


def test_client_credentials_are_compiled_for_the_sender(api: Api) -> None:
    auth: dict[str, Any] = {
        "mode": "oauth2_client_credentials",
        "token_url": "http://127.0.0.1:9/token",
        "client_id": "hub",
        "client_secret": WORD,
        "scopes": ["events:write"],
        "audience": "https://crm.example",
        "client_auth": "post",
    }
    made = api.make(auth=auth)
    assert made["auth"] == {name: value for name, value in auth.items() if name != "client_secret"}
    assert WORD not in str(made)
    directory = api.world.directory()
    with api.world.engine.connect() as conn:
        directory.refresh(conn, {api.world.tenant_id})
    target = directory.target(api.world.tenant_id, row_id(made))
    assert target is not None
    assert target.hold is None
    assert target.token is not None
    assert (target.token.client_secret.reveal(), target.token.scopes) == (WORD, ("events:write",))
    assert (target.token.client_auth, target.token.audience) == ("post", "https://crm.example")
    assert WORD not in repr(target)


def token_endpoint(call: Call) -> Answer:
    if call.path != "/token":
        return Answer(200, call.body)
    secret = parse_qs(call.body.decode())["client_secret"][0]
    if secret != WORD:
        return Answer(401, b'{"error": "invalid_client"}')
    return Answer(200, b'{"access_token": "short-lived", "token_type": "bearer", "expires_in": 300}')


def test_a_token_is_fetched_for_deliveries_and_for_the_challenge(api: Api, receiver: Provider) -> None:
    receiver.default = token_endpoint
    auth = {
        "mode": "oauth2_client_credentials", "token_url": f"{receiver.url}/token", "client_id": "hub",
        "client_secret": WORD, "client_auth": "post",
    }  # fmt: skip
    made = api.make(f"{receiver.url}/hook", auth=auth, challenge=True)
    assert api.post(f"/endpoints/{made['id']}/verify")["status"] == "active"
    api.world.publish("1", "2")
    api.world.deliver()
    hooks = [call for call in receiver.calls if call.path == "/hook"]
    assert [call.headers["authorization"] for call in hooks] == ["Bearer short-lived"] * 3
    assert len(receiver.calls) - len(hooks) == 2
    api.call("PATCH", f"/endpoints/{made['id']}", json={"auth": {**auth, "client_secret": "wrong"}})
    refused = api.call("POST", f"/endpoints/{made['id']}/verify")
    assert (refused.status_code, "invalid_client" in refused.json()["detail"]) == (409, True)
    assert "wrong" not in refused.text


def certificate(name: str, ends: datetime) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(ends - timedelta(days=400))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return {
        "certificate": made.public_bytes(Encoding.PEM).decode(),
        "key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    }


def test_a_client_certificate_is_kept_beside_other_credentials(api: Api) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    pair = certificate("hub", ends)
    made = api.make("https://127.0.0.1:9/", client_certificate=pair, auth={"mode": "bearer", "token": WORD})
    path = f"/endpoints/{made['id']}"
    assert made["client_certificate"]["subject"] == "CN=hub"
    assert datetime.fromisoformat(made["client_certificate"]["expires_at"]) == ends
    assert "PRIVATE" not in f"{made}{api.world.sql('SELECT e::text FROM hub.endpoint e')}"
    directory = api.world.directory()
    with api.world.engine.connect() as conn:
        directory.refresh(conn, {api.world.tenant_id})
    target = directory.target(api.world.tenant_id, row_id(made))
    assert target is not None
    assert target.certificate is not None
    assert target.certificate.chain.decode() == pair["certificate"]
    assert target.certificate.key.reveal() == pair["key"]

    assert api.refused("PATCH", path, {"url": "http://127.0.0.1:9/"}) == {"client_certificate"}
    taken = api.call("PATCH", path, json={"client_certificate": None}).json()
    assert (taken["client_certificate"], taken["auth"]["mode"]) == (None, "bearer")
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(2,)]


def test_a_client_certificate_that_cannot_be_used_is_refused(api: Api) -> None:
    now = datetime.now(UTC)
    good, other = certificate("hub", now + timedelta(days=1)), certificate("x", now + timedelta(days=1))
    for pair, place in (
        (certificate("old", now - timedelta(days=1)), "certificate"),
        ({"certificate": good["certificate"], "key": other["key"]}, "key"),
        ({"certificate": good["certificate"], "key": "x" * 70_000}, "key"),
    ):
        body = {"name": "a", "url": "https://127.0.0.1:9/", "client_certificate": pair}
        assert api.refused("POST", "/endpoints", body) == {f"client_certificate.{place}"}
    body = {"name": "a", "url": "http://127.0.0.1:9/", "client_certificate": good}
    assert api.refused("POST", "/endpoints", body) == {"client_certificate"}


def test_an_endpoint_whose_credentials_do_not_open_is_held(api: Api, receiver: Provider) -> None:
    made = api.make(receiver.url, auth={"mode": "bearer", "token": WORD})
    api.world.sql(
        "DELETE FROM hub.secret WHERE id = (SELECT auth_secret_id FROM hub.endpoint WHERE id = :id)",
        id=row_id(made),
    )
    api.world.publish("{}")
    api.world.deliver()
    assert receiver.calls == []
    assert [state for state, _ in api.world.states()] == ["due"]
