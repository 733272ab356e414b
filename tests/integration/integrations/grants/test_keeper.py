"""The keeper with tokens that the hub gets by itself, against a token endpoint that a test scripts."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from requests import PreparedRequest
from sqlalchemy.exc import OperationalError

from hub.access.issuing import open_tenant
from hub.core.errors import NotFound
from hub.integrations.grants import keeper, store
from hub.integrations.grants.errors import NeedsReauth, NotYet
from hub.integrations.grants.holder import Holder
from hub.integrations.grants.keeper import Grants
from tests.integration.integrations.grants.world import World, token_of
from tests.integration.integrations.provider import Answer, Call, Provider, serving_provider
from tests.support.waiting import until

SECRET = "client-secret-0123456789"


def numbered(provider: Provider, **more: Any) -> None:
    """Answer with token-1, token-2 …"""

    def answer(_call: Call) -> Answer:
        body = {
            "access_token": f"token-{len(provider.calls)}",
            "token_type": "Bearer",
            "expires_in": 3600,
            **more,
        }
        return Answer(body=json.dumps(body).encode())

    provider.default = answer


def settings(provider: Provider, **more: Any) -> dict[str, Any]:
    return {
        "mode": "oauth2",
        "grant": "client_credentials",
        "token_url": f"{provider.url}/token",
        "client_id": "me",
        **more,
    }


def fields(call: Call) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(call.body.decode()).items()}


def test_a_token_is_got_once_and_then_comes_from_memory(world: World, provider: Provider) -> None:
    numbered(provider)
    holder = world.holder(settings(provider, scopes=["read", "write"]), client_secret=SECRET)
    grants = world.grants()
    assert [token_of(grants.credentials(holder)) for _ in range(3)] == ["token-1"] * 3
    [call] = provider.calls
    assert fields(call) == {"grant_type": "client_credentials", "scope": "read write"}
    row = world.row(holder)
    assert (row.state, row.version, row.scopes) == ("active", 1, ["read", "write"])
    assert row.lease_until is None
    assert row.intent_at is None


def test_another_process_takes_the_stored_token(world: World, provider: Provider) -> None:
    numbered(provider)
    holder = world.holder(settings(provider), client_secret=SECRET)
    assert token_of(world.grants("one").credentials(holder)) == "token-1"
    assert token_of(world.grants("two").credentials(holder)) == "token-1"
    assert len(provider.calls) == 1


def test_a_token_is_renewed_ahead_while_readers_go_on_with_the_old_one(
    world: World, provider: Provider
) -> None:
    numbered(provider)
    holder = world.holder(settings(provider), client_secret=SECRET)
    world.grants("first").credentials(holder)
    world.change(holder, "refresh_at = now() - interval '1 second'")
    gate = threading.Event()
    provider.script = [Answer(body=b'{"access_token": "newer", "expires_in": 3600}', gate=gate)]
    grants = world.grants("second")
    try:
        assert token_of(grants.credentials(holder)) == "token-1"
        until(lambda: len(provider.calls) == 2, what="the renewal")
        assert [token_of(grants.credentials(holder)) for _ in range(20)] == ["token-1"] * 20
    finally:
        gate.set()
    until(lambda: token_of(grants.credentials(holder)) == "newer", what="the new token")
    assert len(provider.calls) == 2


def test_a_token_ends_a_moment_before_its_life(world: World, provider: Provider) -> None:
    numbered(provider)
    holder = world.holder(settings(provider), client_secret=SECRET)
    world.grants("first").credentials(holder)
    world.change(holder, "obtained_at = now() - interval '1 hour', expires_at = now() + interval '5 seconds'")
    assert token_of(world.grants("second").credentials(holder)) == "token-2"


def test_a_token_endpoint_that_is_down_leaves_the_old_token_in_use(world: World, provider: Provider) -> None:
    numbered(provider)
    holder = world.holder(settings(provider), client_secret=SECRET)
    world.grants("first").credentials(holder)
    world.change(holder, "refresh_at = now() - interval '1 second'")
    provider.default = lambda _call: Answer(503, b"out of order")
    grants = world.grants("second")
    assert token_of(grants.credentials(holder)) == "token-1"
    until(lambda: world.row(holder).failures == 1, what="the failure")
    assert token_of(grants.credentials(holder)) == "token-1"
    row = world.row(holder)
    assert row.state == "active"
    assert "503" in row.last_error


def test_without_a_token_a_failing_endpoint_is_left_alone_for_a_while(
    world: World, provider: Provider
) -> None:
    provider.default = lambda _call: Answer(503, b"out of order", {"Retry-After": "60"})
    holder = world.holder(settings(provider), client_secret=SECRET)
    with pytest.raises(NotYet) as raised:
        world.grants("one").credentials(holder)
    # The provider rests for a minute at least; who asks may come back sooner, for what others may have got.
    assert 40 <= raised.value.due_in <= 60
    assert "503" in raised.value.detail
    with pytest.raises(NotYet):
        world.grants("two").credentials(holder)
    assert len(provider.calls) == 1
    assert world.alarms.reasons == []


def test_a_token_that_was_got_elsewhere_is_noticed_while_the_provider_rests(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "LOOK_SECONDS", 0.0)
    provider.default = lambda _call: Answer(503, b"out of order", {"Retry-After": "300"})
    holder = world.holder(settings(provider), client_secret=SECRET)
    worker, api = world.grants("worker"), world.grants("api")
    for _ in range(2):
        with pytest.raises(NotYet) as raised:
            worker.credentials(holder)
        assert raised.value.due_in <= 60
    assert len(provider.calls) == 1, "looking is not asking"
    numbered(provider)
    api.refresh(holder)
    assert token_of(worker.credentials(holder)) == "token-2"


def test_a_refusal_is_not_asked_again_until_something_changes(world: World, provider: Provider) -> None:
    refusal = {"error": "invalid_client", "error_description": f"who is {SECRET}?"}
    provider.default = lambda _call: Answer(401, json.dumps(refusal).encode())
    holder = world.holder(settings(provider), client_secret=SECRET)
    for owner in ("one", "two"):
        with pytest.raises(NeedsReauth, match="invalid_client") as raised:
            world.grants(owner).credentials(holder)
        assert SECRET not in str(raised.value)
    assert len(provider.calls) == 1
    assert world.row(holder).state == "needs_reauth"
    assert len(world.alarms.reasons) == 1
    numbered(provider)
    other = type(holder)(
        holder.id, holder.tenant_id, holder.base_url, {**holder.parameters, "scopes": ["a"]},
        holder.secrets, holder.secret_ids,
    )  # fmt: skip
    assert token_of(world.grants("three").credentials(other)) == "token-2"
    assert world.row(holder).state == "active"
    assert world.alarms.restored_ids == [holder.id]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(404, b"<html>nothing here</html>"), "404"),
        (Answer(301, b"", {"Location": "/moved"}), "redirect"),
        (Answer(200, b"<html>Welcome</html>"), "holds no access_token"),
        (Answer(200, b'{"access_token": "two words"}'), "no header can carry"),
    ],
    ids=["nothing there", "moved", "a page", "no token"],
)
def test_answers_that_do_not_change_by_themselves_ask_for_a_person_after_a_few(
    world: World, provider: Provider, answer: Answer, told: str
) -> None:
    provider.default = lambda _call: answer
    holder = world.holder(settings(provider), client_secret=SECRET)
    for number in range(4):
        with pytest.raises(NotYet):
            world.grants(str(number)).credentials(holder)
        world.change(holder, "not_before = NULL")
    for owner in ("fifth", "nobody asks again"):
        with pytest.raises(NeedsReauth, match=told):
            world.grants(owner).credentials(holder)
    assert len(provider.calls) == 5
    assert len(world.alarms.reasons) == 1


def test_that_a_renewal_was_cut_off_is_told_though_others_failed_after_it(
    world: World, provider: Provider
) -> None:
    holder = world.holder(settings(provider, grant="refresh_token"), client_secret=SECRET, refresh_token="r1")
    provider.default = lambda _call: Answer(503)
    with pytest.raises(NotYet):
        world.grants("one").credentials(holder)
    assert world.row(holder).intent_at is None
    world.change(holder, "intent_at = now(), not_before = NULL")
    with pytest.raises(NotYet):
        world.grants("two").credentials(holder)
    world.change(holder, "not_before = NULL")
    provider.default = lambda _call: Answer(400, b'{"error": "invalid_grant"}')
    with pytest.raises(NeedsReauth, match=r"invalid_grant.*cut off"):
        world.grants("three").credentials(holder)


def test_a_hanging_endpoint_sends_callers_away_after_a_moment(world: World, provider: Provider) -> None:
    gate = threading.Event()
    provider.script = [Answer(body=b'{"access_token": "late", "expires_in": 60}', gate=gate)]
    holder = world.holder(settings(provider), client_secret=SECRET)
    one, two = world.grants("one", patience=0.3), world.grants("two", patience=0.3)
    for grants in (one, two):
        with pytest.raises(NotYet) as raised:
            grants.credentials(holder)
        assert 0 < raised.value.due_in < 5
    gate.set()
    until(lambda: world.row(holder).version == 1, what="the late token")
    assert token_of(one.credentials(holder)) == "late"
    assert len(provider.calls) == 1


def test_a_refused_token_is_renewed_once_a_version(world: World, provider: Provider) -> None:
    numbered(provider)
    holder = world.holder(settings(provider), client_secret=SECRET)
    grants = world.grants()
    first = grants.credentials(holder)
    assert grants.rejected(holder, first.version) is False, "a brand-new token is kept"
    world.change(holder, "obtained_at = now() - interval '10 minutes'")
    assert [grants.rejected(holder, first.version) for _ in range(3)] == [True] * 3
    second = grants.credentials(holder)
    assert (token_of(second), second.version) == ("token-2", 2)
    assert grants.rejected(holder, first.version) is True, "there is a newer one already"
    assert token_of(grants.credentials(holder)) == "token-2"
    assert len(provider.calls) == 2


def test_a_missing_life_is_five_minutes_or_as_the_definition_says(world: World, provider: Provider) -> None:
    provider.default = lambda _call: Answer(body=b'{"access_token": "t"}')
    lives = []
    for more in ({}, {"default_life_seconds": 7200}):
        holder = world.holder(settings(provider, **more), client_secret=SECRET)
        world.grants(str(more)).credentials(holder)
        row = world.row(holder)
        lives.append(round((row.expires_at - row.obtained_at).total_seconds()))
    assert lives == [300, 7200]


def test_metadata_is_captured_and_tokens_stand_where_the_definition_says(
    world: World, provider: Provider
) -> None:
    body = {"data": {"key": "nested-token"}, "team": {"id": "T1", "name": "acme"}}
    provider.default = lambda _call: Answer(body=json.dumps(body).encode())
    auth = settings(
        provider,
        answer={"access_token": "data.key"},
        capture={"team": "team.id", "nothing": "no.where"},
        placement={"in": "header", "name": "X-Token", "prefix": ""},
    )
    granted = world.grants().credentials(world.holder(auth, client_secret=SECRET))
    assert token_of(granted) == "nested-token"
    assert granted.metadata == {"team": "T1"}
    request = PreparedRequest()
    request.prepare(method="GET", url="http://127.0.0.1/")
    assert granted.credentials.http is not None
    assert granted.credentials.http(request).headers["X-Token"] == "nested-token"


def test_a_deleted_integration_has_no_credentials(world: World, provider: Provider) -> None:
    holder = world.holder(settings(provider), client_secret=SECRET)
    with world.engine.begin() as conn:
        conn.exec_driver_sql("DELETE FROM hub.integration")
    with pytest.raises(NotFound):
        world.grants().credentials(holder)
    assert provider.calls == []


def test_another_tenant_gets_nothing(world: World, provider: Provider) -> None:
    numbered(provider)
    holder = world.holder(settings(provider), client_secret=SECRET)
    world.grants("one").credentials(holder)
    foreign = type(holder)(
        holder.id,
        type(holder.id)(int=7),
        holder.base_url,
        holder.parameters,
        holder.secrets,
        holder.secret_ids,
    )
    with pytest.raises(NotFound):
        world.grants("two").credentials(foreign)


def test_many_threads_cost_one_question(world: World, provider: Provider) -> None:
    numbered(provider)
    gate = threading.Event()
    provider.script = [Answer(body=b'{"access_token": "one-for-all", "expires_in": 3600}', gate=gate)]
    holder = world.holder(settings(provider), client_secret=SECRET)
    keepers = [world.grants(f"process {number}") for number in range(2)]
    found: list[str] = []

    def work(grants: Grants) -> None:
        found.append(token_of(grants.credentials(holder)))

    threads = [threading.Thread(target=work, args=(keepers[n % 2],)) for n in range(50)]
    for thread in threads:
        thread.start()
    until(lambda: provider.calls, what="the question")
    gate.set()
    for thread in threads:
        thread.join(20)
    assert found == ["one-for-all"] * 50
    assert len(provider.calls) == 1


def test_no_token_and_no_secret_is_in_a_log_an_error_or_a_repr(
    world: World, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.default = lambda _call: Answer(
        body=b'{"access_token": "canary-access-token", "expires_in": 3600}'
    )
    holder = world.holder(settings(provider), client_secret=SECRET)
    granted = world.grants().credentials(holder)
    shown = caplog.text + repr(granted) + repr(holder) + repr(world.row(holder))
    assert "canary-access-token" not in shown
    assert SECRET not in shown


def test_nothing_stays_in_the_vault_but_the_newest_token(world: World, provider: Provider) -> None:
    numbered(provider)
    holder = world.holder(settings(provider), client_secret=SECRET)
    for number in range(3):
        world.grants(str(number)).credentials(holder)
        world.change(holder, "expires_at = now()")
    assert world.secrets_of_grants() == 1


def test_a_provider_that_hangs_takes_a_few_threads_and_not_those_of_others(
    world: World, provider: Provider
) -> None:
    gate = threading.Event()
    provider.default = lambda _call: Answer(body=b'{"access_token": "late"}', gate=gate)
    grants = world.grants(patience=0.2)
    hanging = [world.holder(settings(provider), client_secret=SECRET) for _ in range(8)]
    try:
        for holder in hanging:
            with pytest.raises(NotYet):
                grants.credentials(holder)
        assert len(provider.calls) == 4
        with serving_provider() as other:
            numbered(other)
            holder = world.holder(settings(other), client_secret=SECRET)
            until(lambda: other.calls or _asks(grants, holder), what="the other provider's turn")
    finally:
        gate.set()


def test_a_tenant_whose_providers_hang_takes_no_token_from_another(world: World, provider: Provider) -> None:
    numbered(provider)
    grants = world.grants(patience=0.05)
    with ExitStack() as stack:
        for _ in range(10):
            silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/token"
            for _ in range(4):
                holder = world.holder(settings(provider, token_url=url), client_secret=SECRET)
                with pytest.raises(NotYet):
                    grants.credentials(holder)
        with world.engine.begin() as conn:
            neighbour = replace(world, tenant_id=open_tenant(conn, "globex").id)
        holder = neighbour.holder(settings(provider), client_secret=SECRET)
        until(lambda: _asks(grants, holder), seconds=8, what="the other tenant's token")


def _asks(grants: Grants, holder: Holder) -> bool:
    try:
        return bool(token_of(grants.credentials(holder)))
    except NotYet:
        return False


def test_a_database_that_is_away_leaves_the_token_in_use(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbered(provider)
    holder = world.holder(settings(provider), client_secret=SECRET)
    grants = world.grants()
    grants.credentials(holder)
    looks = []

    def away(*_given: object) -> None:
        looks.append(1)
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(grants.refresher, "look", away)
    monkeypatch.setattr(keeper, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(grants._clock, "monotonic", lambda ahead=time.monotonic: ahead() + 60)
    until(lambda: token_of(grants.credentials(holder)) == "token-1" and looks, what="a look")
    assert token_of(grants.credentials(holder)) == "token-1"


def test_what_was_granted_is_stored_when_the_database_comes_back(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbered(provider)
    holder = world.holder(settings(provider), client_secret=SECRET)
    keep, tries = store.keep_tokens, []

    def away_twice(*given: Any, **options: Any) -> bool:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("UPDATE", {}, Exception("away"))
        return keep(*given, **options)

    monkeypatch.setattr(store, "keep_tokens", away_twice)
    assert token_of(world.grants().credentials(holder)) == "token-1"
    assert len(provider.calls) == 1
    assert world.secrets_of_grants() == 1


def test_closing_finishes_a_renewal_under_way(world: World, provider: Provider) -> None:
    gate = threading.Event()
    provider.default = lambda _call: Answer(body=b'{"access_token": "late"}', gate=gate)
    holder = world.holder(settings(provider), client_secret=SECRET)
    grants = world.grants(patience=0.1)
    with pytest.raises(NotYet):
        grants.credentials(holder)
    until(lambda: provider.calls, what="the question")
    closing = threading.Thread(target=grants.close)
    closing.start()
    gate.set()
    closing.join(20)
    assert world.row(holder).version == 1
