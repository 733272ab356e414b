"""Grants that a person gives, against oidc-provider, with a browser that fills in its forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from sqlalchemy import text

from hub.core.errors import Conflict, Invalid
from hub.core.secret import Secret
from hub.integrations.grants import authorization
from hub.integrations.grants.authorization import NotGranted
from hub.integrations.grants.errors import NeedsReauth
from hub.integrations.grants.holder import Holder
from hub.integrations.grants.keeper import Grants
from hub.integrations.grants.revocation import detach, revoke
from tests.integration.integrations.grants.world import World, token_of
from tests.support.oidc import Browser, Oidc

HUB = "http://127.0.0.1:8400"
SECRET = "web-secret-0123456789"


def web(world: World, oidc: Oidc, **more: Any) -> Holder:
    return world.holder(oidc.settings(**more), client_secret=SECRET)


def go(grants: Grants, holder: Holder, *, login: str = "ada") -> str:
    """Where the browser comes back to."""
    started = authorization.start(grants, holder, public_url=HUB)
    back = Browser(HUB).walk(started.url, login=login)
    assert back.startswith(f"{HUB}/oauth/callback?"), back
    return back


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def connect(world: World, oidc: Oidc, **more: Any) -> tuple[Grants, Holder]:
    grants, holder = world.grants(), web(world, oidc, **more)
    authorization.finish(grants, query_of(go(grants, holder)))
    return grants, holder


def test_a_person_connects_an_integration(world: World, oidc: Oidc) -> None:
    grants, holder = world.grants(), web(world, oidc)
    with pytest.raises(NeedsReauth, match="not been authorized yet"):
        grants.credentials(holder)
    done = authorization.finish(grants, query_of(go(grants, holder)))
    assert done.integration_id == holder.id
    granted = grants.credentials(holder)
    assert oidc.lives(token_of(granted))
    row = world.row(holder)
    assert (row.state, row.version) == ("active", 1)
    assert set(row.scopes) == {"openid", "offline_access"}
    assert world.alarms.restored_ids == [holder.id]


def test_it_is_renewed_by_a_refresh_token_that_is_good_for_one_use(world: World, oidc: Oidc) -> None:
    grants, holder = connect(world, oidc)
    before = world.stored(world.row(holder).refresh_secret_id)
    for number in range(3):
        world.change(holder, "expires_at = now()")
        grants = world.grants(str(number))
        assert oidc.lives(token_of(grants.credentials(holder)))
    after = world.stored(world.row(holder).refresh_secret_id)
    assert before != after
    assert oidc.lives(after)
    assert not oidc.lives(before)
    assert world.secrets_of_grants() == 2


def test_a_family_that_the_provider_revoked_needs_a_person_and_is_connected_again_in_place(
    world: World, oidc: Oidc
) -> None:
    grants, holder = connect(world, oidc)
    first = world.row(holder).refresh_secret_id
    stolen = world.stored(first)
    world.change(holder, "expires_at = now()")
    token_of(world.grants("second").credentials(holder))
    # A thief uses the old one again, and the provider takes everything back.
    grants.asker.ask(holder, Secret(stolen))
    world.change(holder, "expires_at = now()")
    for owner in ("third", "fourth"):
        with pytest.raises(NeedsReauth, match="invalid_grant"):
            world.grants(owner).credentials(holder)
    assert world.row(holder).state == "needs_reauth"
    assert len(world.alarms.reasons) == 1
    again = world.grants("again")
    authorization.finish(again, query_of(go(again, holder)))
    assert oidc.lives(token_of(again.credentials(holder)))
    assert world.row(holder).state == "active"


def test_a_state_is_good_for_one_use(world: World, oidc: Oidc) -> None:
    grants, holder = world.grants(), web(world, oidc)
    query = query_of(go(grants, holder))
    authorization.finish(grants, query)
    with pytest.raises(NotGranted, match="used already"):
        authorization.finish(grants, query)
    assert world.row(holder).version == 1


@pytest.mark.parametrize("state", ["", "guessed", "x" * 5000])
def test_a_state_that_was_not_given_out_is_refused(world: World, state: str) -> None:
    with pytest.raises(NotGranted, match="used already, or it is too old"):
        authorization.finish(world.grants(), {"state": state, "code": "stolen"})


def test_a_state_ends_after_ten_minutes(world: World, oidc: Oidc) -> None:
    grants, holder = world.grants(), web(world, oidc)
    query = query_of(go(grants, holder))
    with world.engine.begin() as conn:
        conn.execute(text("UPDATE hub.authorization_request SET expires_at = now()"))
    with pytest.raises(NotGranted, match="too old"):
        authorization.finish(grants, query)


def test_only_a_hash_of_the_state_is_stored(world: World, oidc: Oidc) -> None:
    grants, holder = world.grants(), web(world, oidc)
    started = authorization.start(grants, holder, public_url=HUB)
    [state] = parse_qs(urlsplit(started.url).query)["state"]
    with world.engine.connect() as conn:
        assert state not in repr(conn.execute(text("SELECT * FROM hub.authorization_request")).all())


def test_the_code_is_worth_nothing_without_our_verifier(world: World, oidc: Oidc) -> None:
    grants, holder = world.grants(), web(world, oidc)
    first, second = query_of(go(grants, holder)), query_of(go(grants, holder, login="eve"))
    with pytest.raises(NotGranted, match="invalid_grant"):
        # Eve's code in Ada's answer (code injection).
        authorization.finish(grants, {**first, "code": second["code"]})
    assert world.row(holder).state == "none"
    assert "invalid_grant" in world.row(holder).last_error


def test_a_person_who_says_no_is_told_so(world: World, oidc: Oidc) -> None:
    grants, holder = world.grants(), web(world, oidc)
    started = authorization.start(grants, holder, public_url=HUB)
    state = query_of(started.url)["state"]
    query = {"state": state, "error": "access_denied", "error_description": "<b>no</b>"}
    with pytest.raises(NotGranted, match="access_denied: <b>no</b>"):
        authorization.finish(grants, query)


def test_an_answer_of_another_issuer_is_refused(world: World, oidc: Oidc) -> None:
    grants, holder = world.grants(), web(world, oidc, issuer=oidc.url)
    query = query_of(go(grants, holder))
    assert query["iss"] == oidc.url
    with pytest.raises(NotGranted, match="`iss` differs"):
        authorization.finish(grants, {**query, "iss": "https://evil.example"})
    authorization.finish(grants, query_of(go(grants, holder)))


def test_settings_that_changed_meanwhile_are_refused(world: World, oidc: Oidc) -> None:
    grants, holder = world.grants(), web(world, oidc)
    query = query_of(go(grants, holder))
    with world.engine.begin() as conn:
        conn.execute(text("UPDATE hub.integration SET base_url = 'http://127.0.0.1:10'"))
    with pytest.raises(NotGranted, match="settings were changed"):
        authorization.finish(grants, query)


def test_a_token_does_not_follow_the_integration_to_another_origin(world: World, oidc: Oidc) -> None:
    grants, holder = connect(world, oidc)
    moved = replace(holder, base_url="https://evil.example")
    with pytest.raises(NeedsReauth, match="other settings"):
        grants.credentials(moved)
    world.alarms.reasons.clear()
    assert oidc.lives(token_of(world.grants("still").credentials(holder)))


def test_more_scopes_do_not_send_everybody_through_a_browser_again(world: World, oidc: Oidc) -> None:
    grants, holder = connect(world, oidc)
    wider = replace(holder, parameters={**holder.parameters, "scopes": ["openid", "offline_access", "read"]})
    assert oidc.lives(token_of(grants.credentials(wider)))


def test_without_pkce_this_provider_gives_no_code(world: World, oidc: Oidc) -> None:
    grants, holder = world.grants(), web(world, oidc, pkce=False)
    with pytest.raises(NotGranted, match="invalid_request"):
        authorization.finish(grants, query_of(go(grants, holder)))


def test_a_public_client_proves_itself_by_pkce_alone(world: World, oidc: Oidc) -> None:
    grants = world.grants()
    holder = world.holder(oidc.settings(client_id="public", client_auth="none"))
    authorization.finish(grants, query_of(go(grants, holder)))
    assert oidc.lives(token_of(grants.credentials(holder)))


def test_a_grant_is_revoked_at_the_provider(world: World, oidc: Oidc) -> None:
    grants, holder = connect(world, oidc)
    row = world.row(holder)
    tokens = [world.stored(row.access_secret_id), world.stored(row.refresh_secret_id)]
    with world.engine.begin() as conn:
        found = detach(conn, world.vault, holder.tenant_id, holder.id)
    assert revoke(grants.asker.session, grants.asker.clock, found) is None
    assert [oidc.lives(token) for token in tokens] == [False, False]
    assert world.row(holder).state == "none"
    assert world.secrets_of_grants() == 0
    with pytest.raises(NeedsReauth):
        world.grants("after").credentials(holder)


def test_tokens_are_not_shown_to_a_revocation_url_that_came_later(world: World, oidc: Oidc) -> None:
    _, holder = connect(world, oidc)
    with world.engine.begin() as conn:
        conn.execute(
            text(
                "UPDATE hub.integration SET auth = jsonb_set(auth, '{revocation_url}', '\"http://127.0.0.1:9/\"')"
            )
        )
        assert detach(conn, world.vault, holder.tenant_id, holder.id) is None


def test_a_provider_that_is_gone_does_not_keep_a_grant_alive(world: World, oidc: Oidc) -> None:
    grants, holder = connect(world, oidc, revocation_url="http://127.0.0.1:9/revoke")
    with world.engine.begin() as conn:
        found = detach(conn, world.vault, holder.tenant_id, holder.id)
    fault = revoke(grants.asker.session, grants.asker.clock, found)
    assert fault is not None
    assert "did not revoke" in fault


def test_a_renewal_that_was_under_way_does_not_bring_a_forgotten_grant_back(
    world: World, oidc: Oidc, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants, holder = connect(world, oidc)
    seen = grants.refresher.look(holder)
    ask = grants.asker.ask

    def forgotten_meanwhile(*given: Any) -> Any:
        answer = ask(*given)
        with world.engine.begin() as conn:
            detach(conn, world.vault, holder.tenant_id, holder.id)
        return answer

    monkeypatch.setattr(grants.asker, "ask", forgotten_meanwhile)
    grants.refresher.renew(holder, seen.grant)
    assert world.row(holder).state == "none"
    assert world.secrets_of_grants() == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "http://127.0.0.1:8400.evil.example/",
        "http://127.0.0.1:8400@evil.example/",
        "http://127.0.0.1:8401/",
        "https://127.0.0.1:8400/",
        "//evil.example/",
        "javascript:alert(1)",
        "http://127.0.0.1:8400\\@evil.example/",
    ],
)
def test_the_last_page_leads_back_to_the_own_origin_only(world: World, oidc: Oidc, url: str) -> None:
    with pytest.raises(Invalid, match="return_url must begin with"):
        authorization.start(world.grants(), web(world, oidc), public_url=HUB, return_url=url)


def test_other_grants_are_not_connected_in_a_browser(world: World, oidc: Oidc) -> None:
    holder = world.holder(oidc.settings(grant="client_credentials"), client_secret=SECRET)
    with pytest.raises(Conflict, match="authorization_code"):
        authorization.start(world.grants(), holder, public_url=HUB)


def test_what_was_asked_for_stands_in_the_address(world: World, oidc: Oidc) -> None:
    holder = web(world, oidc, scope_separator=",", authorize_parameters={"audience": "api"})
    started = authorization.start(world.grants(), holder, public_url=f"{HUB}/base")
    query = query_of(started.url)
    assert query["scope"] == "openid,offline_access"
    assert query["audience"] == "api"
    assert query["redirect_uri"] == f"{HUB}/base/oauth/callback"
    assert query["code_challenge_method"] == "S256"
    assert urlencode({"client_id": "web"}) in started.url


def test_deleting_an_integration_revokes_its_grant_and_leaves_no_secret(world: World, oidc: Oidc) -> None:
    grants, holder = connect(world, oidc)
    authorization.start(grants, holder, public_url=HUB)
    refresh = world.stored(world.row(holder).refresh_secret_id)
    with world.engine.begin() as conn:
        found = detach(conn, world.vault, holder.tenant_id, holder.id)
        conn.execute(text("DELETE FROM hub.integration WHERE id = :id"), {"id": holder.id})
        world.vault.delete(conn, holder.tenant_id, list(holder.secret_ids.values()))
    assert revoke(grants.asker.session, grants.asker.clock, found) is None
    assert not oidc.lives(refresh)
    with world.engine.connect() as conn:
        for table in ("integration_grant", "authorization_request", "secret"):
            assert conn.execute(text(f"SELECT count(*) FROM hub.{table}")).scalar_one() == 0
