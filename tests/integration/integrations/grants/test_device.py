"""A device's grant, against oidc-provider."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from hub.core.errors import Conflict, NotFound, Unavailable
from hub.integrations.grants import authorization, device
from hub.integrations.grants.authorization import NotGranted
from hub.integrations.grants.device import Shown
from hub.integrations.grants.holder import Holder
from hub.integrations.grants.keeper import Grants
from tests.integration.integrations.grants.world import World, token_of
from tests.integration.integrations.provider import Answer, Provider
from tests.support.oidc import Browser, Oidc

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def television(world: World, oidc: Oidc, **more: Any) -> Holder:
    return world.holder(
        oidc.settings(
            grant="device",
            client_id="television",
            client_auth="none",
            device_url=f"{oidc.url}/device/auth",
            scopes=["openid"],
            **more,
        )
    )


def poll_now(world: World, grants: Grants, holder: Holder) -> bool:
    """Poll after the interval."""
    with world.engine.begin() as conn:
        conn.execute(text("UPDATE hub.authorization_request SET next_poll_at = now()"))
    return device.poll(grants, holder.tenant_id, holder.id)


def type_code(shown: Shown) -> None:
    """A person goes to the page, types the code, and agrees."""
    page = Browser("nowhere").walk(str(shown.complete_uri or shown.verification_uri))
    assert "form" not in page or "Sign-in Success" in page, page


def test_a_person_types_the_code_and_another_process_gets_the_token(world: World, oidc: Oidc) -> None:
    holder = television(world, oidc)
    shown = device.start(world.grants("one"), holder)
    assert shown.verification_uri.startswith(oidc.url)
    after_a_restart = world.grants("two")
    assert poll_now(world, after_a_restart, holder) is False
    type_code(shown)
    assert poll_now(world, after_a_restart, holder) is True
    assert oidc.lives(token_of(after_a_restart.credentials(holder)))
    assert poll_now(world, after_a_restart, holder) is True, "it is connected, whoever asks"


def test_the_provider_is_not_asked_more_often_than_it_wants(world: World, oidc: Oidc) -> None:
    holder, grants = television(world, oidc), world.grants()
    device.start(grants, holder)
    before = oidc.counts().get(DEVICE, 0)
    assert [device.poll(grants, holder.tenant_id, holder.id) for _ in range(5)] == [False] * 5
    assert oidc.counts().get(DEVICE, 0) == before
    poll_now(world, grants, holder)
    assert device.poll(grants, holder.tenant_id, holder.id) is False
    assert oidc.counts()[DEVICE] == before + 1


def test_a_job_polls_for_everybody(world: World, oidc: Oidc) -> None:
    holder, grants = television(world, oidc), world.grants()
    shown = device.start(grants, holder)
    assert device.poll_due(grants) == 0
    type_code(shown)
    with world.engine.begin() as conn:
        conn.execute(text("UPDATE hub.authorization_request SET next_poll_at = now()"))
    assert device.poll_due(grants) == 1
    assert world.row(holder).state == "active"
    assert device.poll(world.grants("api"), holder.tenant_id, holder.id) is True


def test_nobody_is_waited_for_where_nobody_connected_it(world: World, oidc: Oidc) -> None:
    holder, grants = television(world, oidc), world.grants()
    with pytest.raises(NotFound, match="Nobody is being waited for"):
        device.poll(grants, holder.tenant_id, holder.id)
    shown = device.start(grants, holder)
    type_code(shown)
    assert poll_now(world, grants, holder) is True
    for change in ("state = 'needs_reauth'", "state = 'active', basis = 'of other settings'"):
        world.change(holder, change)
        with pytest.raises(NotFound, match="Nobody is being waited for"):
            device.poll(grants, holder.tenant_id, holder.id)


def test_who_polls_while_another_gets_the_token_is_not_sent_away(
    world: World, oidc: Oidc, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, grants, other = television(world, oidc), world.grants("one"), world.grants("two")
    type_code(device.start(grants, holder))
    keep, meanwhile = authorization.keep, []

    def slowly(*given: Any) -> None:
        meanwhile.append(device.poll(other, holder.tenant_id, holder.id))
        keep(*given)
        meanwhile.append(device.poll(other, holder.tenant_id, holder.id))

    monkeypatch.setattr(device, "keep", slowly)
    assert poll_now(world, grants, holder) is True
    assert meanwhile == [False, False]
    assert device.poll(other, holder.tenant_id, holder.id) is True


def test_a_code_that_nobody_typed_ends(world: World, oidc: Oidc) -> None:
    holder, grants = television(world, oidc), world.grants()
    device.start(grants, holder)
    with world.engine.begin() as conn:
        conn.execute(text("UPDATE hub.authorization_request SET expires_at = now()"))
    with pytest.raises(NotGranted, match="not typed in time"):
        device.poll(grants, holder.tenant_id, holder.id)
    assert world.row(holder).last_error == "The code was not typed in time. Start again."


def test_another_tenant_cannot_poll(world: World, oidc: Oidc) -> None:
    holder, grants = television(world, oidc), world.grants()
    type_code(device.start(grants, holder))
    for connected in (False, True):
        with pytest.raises(NotFound):
            device.poll(grants, type(holder.id)(int=7), holder.id)
        assert connected or poll_now(world, grants, holder) is True


def test_a_provider_that_asks_to_slow_down_is_asked_less_often(world: World, provider: Provider) -> None:
    auth = {
        "mode": "oauth2",
        "grant": "device",
        "client_auth": "none",
        "client_id": "tv",
        "token_url": f"{provider.url}/token",
        "device_url": f"{provider.url}/device",
    }
    holder, grants = world.holder(auth), world.grants()
    provider.script = [
        Answer(
            body=b'{"device_code":"d","user_code":"AB-CD","verification_uri":"https://e.example/d","interval":7}'
        ),
        Answer(400, b'{"error":"slow_down"}'),
    ]
    shown = device.start(grants, holder)
    assert (shown.user_code, shown.interval) == ("AB-CD", 7)
    assert poll_now(world, grants, holder) is False
    with world.engine.connect() as conn:
        found = conn.execute(text("SELECT interval_seconds FROM hub.authorization_request")).scalar_one()
    assert found == 12


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"error":"invalid_client"}', Conflict),
        (503, b"out of order", Unavailable),
        (200, b'{"device_code":"d","user_code":"u","verification_uri":"javascript:alert(1)"}', Unavailable),
    ],
    ids=["refused", "down", "no address"],
)
def test_a_start_that_fails_says_why(
    world: World, provider: Provider, status: int, body: bytes, error: type[Exception]
) -> None:
    provider.default = lambda _call: Answer(status, body)
    auth = {
        "mode": "oauth2",
        "grant": "device",
        "client_auth": "none",
        "client_id": "tv",
        "token_url": f"{provider.url}/token",
        "device_url": f"{provider.url}/device",
    }
    with pytest.raises(error, match="The provider gave no token"):
        device.start(world.grants(), world.holder(auth))
