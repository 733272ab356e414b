from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from hub.access.authenticator import Authenticator
from hub.access.scopes import Scope
from hub.cli.api_keys import api_keys
from hub.cli.tenants import tenants
from hub.core.errors import Conflict, NotFound, Unauthenticated
from hub.core.settings import get_settings
from hub.db.engine import forget_engine

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run `hub tenants …` or `hub api-keys …` on the test's database."""
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    get_settings.cache_clear()
    forget_engine(close=True)

    def invoke(group: str, *arguments: str) -> Result:
        return CliRunner().invoke({"tenants": tenants, "api-keys": api_keys}[group], arguments)

    yield invoke
    get_settings.cache_clear()
    forget_engine(close=True)


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_tenant_is_made_listed_and_shown(run: Run) -> None:
    made = answer(run("tenants", "create", "acme", "--json"))
    assert made["id"].startswith("ten_")
    assert answer(run("tenants", "list", "--json")) == [made]
    assert answer(run("tenants", "show", "acme", "--json")) == made
    assert answer(run("tenants", "show", made["id"], "--json")) == made
    for arguments in (["list"], ["show", "acme"]):
        assert made["id"] in run("tenants", *arguments).stdout


def test_faults_with_tenants_exit_with_1(run: Run) -> None:
    run("tenants", "create", "acme")
    for arguments, error in (
        (["create", "acme"], Conflict),
        (["show", "nobody"], NotFound),
        (["show", "ten_" + "0" * 32], NotFound),
    ):
        result = run("tenants", *arguments)
        assert (result.exit_code, type(result.exception)) == (1, error)


def test_a_key_works_until_it_is_revoked(run: Run, engine: Engine) -> None:
    tenant = answer(run("tenants", "create", "acme", "--json"))
    made = answer(
        run(
            "api-keys",
            "create",
            "billing",
            "--tenant",
            "acme",
            "--scopes",
            "events:write, events:read",
            "--json",
        )
    )
    principal = Authenticator(engine).authenticate(made["key"])
    assert f"ten_{principal.tenant_id.hex}" == tenant["id"]
    assert principal.scopes == {Scope.EVENTS_READ, Scope.EVENTS_WRITE}
    revoked = answer(run("api-keys", "revoke", made["id"], "--tenant", "acme", "--json"))
    assert revoked["state"] == "revoked"
    with pytest.raises(Unauthenticated):
        Authenticator(engine).authenticate(made["key"])


def test_the_text_of_a_key_is_printed_once_and_kept_nowhere(run: Run, engine: Engine) -> None:
    run("tenants", "create", "acme")
    created = run("api-keys", "create", "billing", "--tenant", "acme", "--scopes", "admin")
    token = created.stdout.strip().splitlines()[-1]
    assert created.output.count(token) == 1
    Authenticator(engine).authenticate(token)
    listed = run("api-keys", "list", "--tenant", "acme").output
    listed += run("api-keys", "list", "--tenant", "acme", "--json").output
    with engine.connect() as conn:
        listed += conn.execute(text("SELECT api_key::text FROM hub.api_key")).scalar_one()
    assert token[37:] not in listed


def test_an_expiry_is_set_and_shown(run: Run, engine: Engine) -> None:
    run("tenants", "create", "acme")
    made = answer(
        run(
            "api-keys",
            "create",
            "k",
            "--tenant",
            "acme",
            "--scopes",
            "admin",
            "--expires-in",
            "90d",
            "--json",
        )
    )
    with engine.begin() as conn:
        days = conn.scalar(
            text("SELECT round(extract(epoch FROM expires_at - created_at) / 86400) FROM hub.api_key")
        )
        conn.execute(text("UPDATE hub.api_key SET expires_at = now() - interval '1 second'"))
    assert (made["state"], days) == ("active", 90)
    assert [row["state"] for row in answer(run("api-keys", "list", "--tenant", "acme", "--json"))] == [
        "expired"
    ]


def test_the_tenant_may_come_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("tenants", "create", "acme")
    monkeypatch.setenv("HUB_TENANT", "acme")
    assert answer(run("api-keys", "list", "--json")) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "k", "--tenant", "acme"],
        ["create", "k", "--scopes", "admin"],
        ["create", "k", "--tenant", "acme", "--scopes", "everything"],
        ["create", "k", "--tenant", "acme", "--scopes", ","],
        ["create", "k", "--tenant", "acme", "--scopes", "admin", "--expires-in", "soon"],
        ["create", "k", "--tenant", "acme", "--scopes", "admin", "--expires-in", "0d"],
        ["create", "k", "--tenant", "acme", "--scopes", "admin", "--expires-in", "-1d"],
        ["create", "k", "--tenant", "acme", "--scopes", "admin", "--expires-in", "999999d"],
        ["revoke", "ten_00000000000000000000000000000000", "--tenant", "acme"],
        ["revoke", "key_x", "--tenant", "acme"],
    ],
)
def test_wrong_usage_exits_with_2_and_writes_nothing(run: Run, engine: Engine, arguments: list[str]) -> None:
    run("tenants", "create", "acme")
    result = run("api-keys", *arguments)
    assert result.exit_code == 2, result.output
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM hub.api_key")) == 0


def test_a_key_of_another_tenant_cannot_be_revoked(run: Run) -> None:
    run("tenants", "create", "acme")
    run("tenants", "create", "other")
    made = answer(run("api-keys", "create", "k", "--tenant", "acme", "--scopes", "admin", "--json"))
    result = run("api-keys", "revoke", made["id"], "--tenant", "other")
    assert (result.exit_code, type(result.exception)) == (1, NotFound)


def test_a_key_name_is_shown_as_it_is(run: Run) -> None:
    run("tenants", "create", "acme")
    result = run("api-keys", "create", "[red]:x:", "--tenant", "acme", "--scopes", "admin")
    assert result.exit_code == 0
    assert "[red]:x:" in result.stdout


def test_the_tenant_of_a_key_is_named_or_given_by_its_id(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = answer(run("tenants", "create", "acme", "--json"))["id"]
    made = answer(run("api-keys", "create", "a", "--tenant", tenant, "--scopes", "admin", "--json"))
    for given in ("acme", tenant):
        monkeypatch.setenv("HUB_TENANT", given)
        assert [key["id"] for key in answer(run("api-keys", "list", "--json"))] == [made["id"]]
