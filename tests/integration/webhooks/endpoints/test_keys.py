"""Signing keys: rotation with overlap, ed25519 and its JWKS; what ended leaves the vault."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import standardwebhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import WebhookVerificationError

from hub.webhooks.endpoints.rotation import drop_ended
from tests.integration.integrations.provider import Call, Provider
from tests.integration.webhooks.endpoints.conftest import Api

GIVEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def deliver(api: Api, receiver: Provider) -> Call:
    receiver.calls.clear()
    api.world.publish("{}")
    api.world.deliver()
    (call,) = receiver.calls
    return call


def verifies(call: Call, secret: str) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(call.body, call.headers)
    except WebhookVerificationError:
        return False
    return True


def verified_by(call: Call, jwks: dict[str, Any]) -> list[bool]:
    """Which of the keys verify one of the request's v1a signatures."""
    message = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
    signatures = [
        base64.b64decode(one.removeprefix("v1a,"))
        for one in call.headers["webhook-signature"].split()
        if one.startswith("v1a,")
    ]

    def one(key: dict[str, str]) -> bool:
        public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
        for signature in signatures:
            try:
                public.verify(signature, message)
            except InvalidSignature:
                continue
            return True
        return False

    return [one(key) for key in jwks["keys"]]


def test_during_the_overlap_both_secrets_verify_and_then_only_the_new(api: Api, receiver: Provider) -> None:
    made = api.make(receiver.url)
    path = f"/endpoints/{made['id']}"
    rotated = api.post(f"{path}/secret/rotate", {"secret": GIVEN})
    assert (rotated["signing_secret"], rotated["version"]) == (GIVEN, 2)
    (old,) = rotated["previous_secrets"]
    assert old["last4"] == made["secret"]["last4"]
    end = datetime.fromisoformat(old["expires_at"])
    assert timedelta(hours=23, minutes=59) < end - datetime.now(UTC) <= timedelta(days=1)
    call = deliver(api, receiver)
    assert (verifies(call, GIVEN), verifies(call, made["signing_secret"])) == (True, True)

    ended = api.call("DELETE", f"{path}/secret/previous").json()
    assert (ended["previous_secrets"], ended["version"]) == ([], 3)
    call = deliver(api, receiver)
    assert (verifies(call, GIVEN), verifies(call, made["signing_secret"])) == (True, False)
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(1,)]
    assert api.call("DELETE", f"{path}/secret/previous").json()["version"] == 3


def test_an_overlap_ends_by_itself_for_a_worker_that_knows_the_endpoint(api: Api, receiver: Provider) -> None:
    made = api.make(receiver.url)
    api.post(f"/endpoints/{made['id']}/secret/rotate", {"secret": GIVEN})
    source = api.world.source()
    api.world.publish("{}")
    api.world.deliver(source)
    assert verifies(receiver.calls[-1], made["signing_secret"])
    api.world.sql(
        "UPDATE hub.endpoint SET version = version + 1,"
        " previous_secrets = jsonb_set(previous_secrets, '{0,expires_at}', to_jsonb(now() - interval '1 s'))"
    )
    api.world.sql("UPDATE hub.tenant SET config_version = config_version + 1")
    api.world.publish("{}")
    api.world.deliver(source)
    assert not verifies(receiver.calls[-1], made["signing_secret"])


def test_no_overlap_ends_the_old_secret_at_once(api: Api) -> None:
    made = api.make()
    rotated = api.post(f"/endpoints/{made['id']}/secret/rotate", {"overlap_seconds": 0})
    assert rotated["previous_secrets"] == []
    assert rotated["signing_secret"] != made["signing_secret"]
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(1,)]


def test_of_many_rotations_the_newest_ten_old_secrets_stay(api: Api) -> None:
    made = api.make()
    for _ in range(12):
        last = api.post(f"/endpoints/{made['id']}/secret/rotate")
    assert len(last["previous_secrets"]) == 10
    assert made["secret"] not in [
        {k: one[k] for k in ("last4", "fingerprint")} for one in last["previous_secrets"]
    ]
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(11,)]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"secret": "whsec_short"}, "secret"),
        ({"overlap_seconds": -1}, "overlap_seconds"),
        ({"overlap_seconds": 604_801}, "overlap_seconds"),
    ],
)
def test_a_rotation_that_cannot_be_is_refused(api: Api, body: dict[str, Any], path: str) -> None:
    made = api.make()
    assert api.refused("POST", f"/endpoints/{made['id']}/secret/rotate", body) == {path}
    assert api.get(f"/endpoints/{made['id']}")["version"] == 1


def test_an_ed25519_key_signs_too_and_is_published_without_an_api_key(api: Api, receiver: Provider) -> None:
    made = api.make(receiver.url, asymmetric=True)
    assert made["public_key"].startswith("whpk_")
    keys = api.get(f"/endpoints/{made['id']}/jwks")
    public = requests.get(f"{api.url}/jwks/{made['id']}", timeout=10)
    assert (public.json(), public.status_code) == (keys, 200)
    assert [key["crv"] for key in keys["keys"]] == ["Ed25519"]
    assert all(set(key) == {"kty", "crv", "x", "kid", "use", "alg"} for key in keys["keys"])
    assert verified_by(deliver(api, receiver), keys) == [True]

    rotated = api.post(f"/endpoints/{made['id']}/key/rotate")
    assert [one["public_key"] for one in rotated["previous_public_keys"]] == [made["public_key"]]
    both = api.get(f"/endpoints/{made['id']}/jwks")
    assert both["keys"][1:] == keys["keys"]
    assert verified_by(deliver(api, receiver), both) == [True, True]

    api.call("DELETE", f"/endpoints/{made['id']}/key/previous")
    assert api.get(f"/endpoints/{made['id']}/jwks")["keys"] == both["keys"][:1]
    assert verified_by(deliver(api, receiver), both) == [True, False]


def test_an_endpoint_without_a_key_publishes_none(api: Api) -> None:
    made = api.make()
    assert api.get(f"/endpoints/{made['id']}/jwks") == {"keys": []}
    for key, status in ((made["id"], 404), ("ep_" + "0" * 32, 404), ("ep_0", 422)):
        assert requests.get(f"{api.url}/jwks/{key}", timeout=10).status_code == status
    assert api.refused("POST", f"/endpoints/{made['id']}/key/rotate", {}, 409) == set()


def test_a_key_can_be_added_and_taken_away_later(api: Api) -> None:
    made = api.make()
    path = f"/endpoints/{made['id']}"
    first = api.call("PATCH", path, json={"asymmetric": True}).json()["public_key"]
    assert api.call("PATCH", path, json={"asymmetric": True}).json()["public_key"] == first
    api.post(f"{path}/key/rotate")
    gone = api.call("PATCH", path, json={"asymmetric": False}).json()
    assert (gone["public_key"], gone["previous_public_keys"]) == (None, [])
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(1,)]


def test_pruning_forgets_what_ended_and_nothing_else(api: Api) -> None:
    made = api.make(asymmetric=True)
    path = f"/endpoints/{made['id']}"
    api.post(f"{path}/secret/rotate", {"overlap_seconds": 60})
    api.post(f"{path}/secret/rotate", {"overlap_seconds": 3600})
    api.post(f"{path}/key/rotate", {"overlap_seconds": 60})
    world = api.world

    def prune(at: datetime) -> int:
        with world.engine.begin() as conn:
            return drop_ended(conn, world.vault, at)

    now = datetime.now(UTC)
    assert prune(now) == 0
    assert prune(now + timedelta(seconds=120)) == 2
    after = api.get(path)
    assert (len(after["previous_secrets"]), after["previous_public_keys"], after["version"]) == (1, [], 4)
    assert prune(now + timedelta(seconds=4000)) == 1
    assert world.sql("SELECT count(*) FROM hub.secret") == [(2,)]
