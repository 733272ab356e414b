from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from hub.core.errors import Invalid
from hub.core.secret import Secret
from hub.integrations.registry.definition import (
    CreateBody,
    Stored,
    check_create,
    check_update,
    draft_create,
    draft_update,
)
from hub.net.policy import AddressPolicy

POLICY = AddressPolicy(allow=["127.0.0.0/8"], ports=[0])
GOOD: dict[str, Any] = {"name": "crm", "base_url": "http://127.0.0.1:8080/v2/"}


def stored(mode: str, *secrets: str) -> Stored:
    return Stored({**GOOD, "auth": {"mode": mode}}, secrets)


def create_faults(value: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        check_create(draft_create(value), POLICY)
    return {field.path: field.message for field in caught.value.fields}


def test_defaults_are_stored_in_full() -> None:
    definition = check_create(draft_create(GOOD), POLICY)
    assert definition.columns["base_url"] == "http://127.0.0.1:8080/v2"
    assert definition.columns["retry_policy"] == {
        "max_retries": 3, "strategy": "exponential", "base_seconds": 1.0, "cap_seconds": 600.0,
    }  # fmt: skip
    assert definition.columns["auth"] == {"mode": "none"}
    assert (definition.secrets, definition.needs) == ({}, frozenset())
    assert definition.columns["protocol"] == "rest"
    assert definition.columns["status"] == "active"


def test_secrets_are_taken_out_of_what_is_stored() -> None:
    auth = {"mode": "api_key", "in": "query", "name": "k", "key": "a-secret"}
    definition = check_create(draft_create({**GOOD, "auth": auth}), POLICY)
    assert {"mode": "api_key", "in": "query", "name": "k"}.items() <= definition.columns["auth"].items()
    assert "key" not in definition.columns["auth"]
    assert definition.secrets == {"key": Secret("a-secret")}


def test_a_change_holds_only_what_was_given() -> None:
    definition = check_update(draft_update({"tags": ["a"]}), POLICY, stored("bearer", "token"))
    assert (definition.columns, definition.secrets, definition.needs) == ({"tags": ["a"]}, {}, None)


def test_a_change_needs_the_secrets_of_a_new_mode_only() -> None:
    change = draft_update({"auth": {"mode": "basic", "username": "kim"}})
    same = check_update(change, POLICY, stored("basic", "password"))
    assert (same.secrets, same.needs) == ({}, frozenset({"password"}))
    with pytest.raises(Invalid, match=r"auth\.password: is required"):
        check_update(change, POLICY, stored("ssh_key", "password"))


@pytest.mark.parametrize("value", [None, 3, [], "x"])
def test_a_definition_is_an_object(value: Any) -> None:
    assert list(create_faults(value)) == [""]


@pytest.mark.parametrize(
    ("auth", "path"),
    [
        ({"mode": "magic"}, "auth.mode"),
        ({"token": "x"}, "auth.mode"),
        ({"mode": "bearer", "token": ""}, "auth.token"),
        ({"mode": "bearer", "token": "a\r\nX-Evil: 1"}, "auth.token"),
        ({"mode": "bearer", "token": "ключ"}, "auth.token"),
        ({"mode": "bearer", "token": 5}, "auth.token"),
        ({"mode": "bearer", "token": "x", "colour": 1}, "auth.colour"),
        ({"mode": "basic", "password": "x"}, "auth.username"),
        ({"mode": "basic", "username": "a:b", "password": "x"}, "auth.username"),
        ({"mode": "api_key", "name": "Host", "key": "x"}, "auth.name"),
        ({"mode": "api_key", "name": "a b", "key": "x"}, "auth.name"),
        ({"mode": "api_key", "in": "body", "key": "x"}, "auth.in"),
    ],
)
def test_faulty_credentials_are_named_without_their_value(auth: dict[str, Any], path: str) -> None:
    faults = create_faults({**GOOD, "auth": auth})
    assert list(faults) == [path]
    assert "Evil" not in faults[path]


def test_a_password_may_have_any_letters() -> None:
    auth = {"mode": "basic", "username": "kim", "password": "пароль"}
    assert check_create(draft_create({**GOOD, "auth": auth}), POLICY).secrets["password"].reveal() == "пароль"


def test_no_error_repeats_a_secret() -> None:
    auth = {"mode": "bearer", "token": ["canary-secret"], "x": "canary-secret"}
    with pytest.raises(Invalid) as caught:
        check_create(draft_create({**GOOD, "auth": auth, "headers": {"Cookie": "canary-secret"}}), POLICY)
    assert "canary" not in caught.value.detail
    assert "canary" not in str(caught.value.fields)


def test_an_unknown_mode_is_not_repeated_but_the_known_ones_are_named() -> None:
    faults = create_faults({**GOOD, "auth": {"mode": "canary-secret"}})
    assert list(faults) == ["auth.mode"]
    assert faults["auth.mode"].startswith("must be one of none, api_key, basic, bearer")


def test_the_body_is_documented_as_the_model() -> None:
    schema = TypeAdapter(CreateBody).json_schema()
    assert {"name", "base_url", "auth"} <= schema["properties"].keys()
    assert schema["examples"]
