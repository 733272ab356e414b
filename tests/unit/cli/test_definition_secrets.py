"""Variables in secret fields, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from hub.cli.definition_files import Definition, read_definitions
from hub.cli.definition_secrets import filled, shown
from hub.core.errors import Invalid

CANARY = "canary-0123"
ENVIRON = {"TOKEN": CANARY, "B": "b b", "EMPTY": ""}


def definition(**value: Any) -> Definition:
    return Definition({"name": "crm", **value}, "crm.yaml")


def fill(value: dict[str, Any], *, keep: bool = False) -> dict[str, Any]:
    return filled([definition(**value)], ENVIRON, keep=keep)[0]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("${TOKEN}", CANARY),
        ("x${TOKEN}-${B}y", f"x{CANARY}-b by"),
        ("$${TOKEN}", "${TOKEN}"),
        ("$${${TOKEN}}", "${" + CANARY + "}"),
        ("$TOKEN $ {} $$", "$TOKEN $ {} $$"),
        ("plain", "plain"),
    ],
)
def test_a_secret_is_read_from_the_environment(text: str, sent: str) -> None:
    assert fill({"auth": {"mode": "bearer", "token": text}})["auth"]["token"] == sent


def test_a_value_is_not_read_again() -> None:
    one = definition(auth={"mode": "bearer", "token": "${A}"})
    assert filled([one], {"A": "${B}$${"}, keep=False)[0]["auth"]["token"] == "${B}$${"


def test_every_secret_field_is_one_and_no_other_field() -> None:
    auth = {"mode": "template", "headers": {"X": "{{ k }} ${TOKEN}"}, "secrets": {"k": "${TOKEN}"}}
    found = fill({"auth": auth, "tls": {"certificate": "${TOKEN}", "key": "${B}"}, "description": "${TOKEN}"})
    assert found["auth"]["secrets"] == {"k": CANARY}
    assert found["auth"]["headers"] == {"X": "{{ k }} ${TOKEN}"}
    assert found["tls"] == {"certificate": "${TOKEN}", "key": "b b"}
    assert found["description"] == "${TOKEN}"
    oauth = fill({"auth": {"mode": "oauth2", "client_id": "${TOKEN}", "client_secret": "${TOKEN}"}})["auth"]
    assert (oauth["client_id"], oauth["client_secret"]) == ("${TOKEN}", CANARY)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${NOBODY}", "the variable NOBODY is not set"),
        ("${EMPTY}", "the variable EMPTY is empty"),
        ("${lower case}", "`${` begins a variable"),
        ("${TOKEN", "`${` begins a variable"),
        ("${}", "`${` begins a variable"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named_with_its_place(text: str, said: str) -> None:
    (one,) = read_definitions(f'name: crm\nauth:\n  mode: bearer\n  token: "{text}"\n', "crm.yaml")
    with pytest.raises(Invalid, match="Nothing was sent") as caught:
        filled([one], ENVIRON, keep=False)
    (field,) = caught.value.fields
    assert field.path == "crm.yaml:4:10: auth.token"
    assert field.message.startswith(said)


def test_all_missing_variables_are_told_at_once_and_no_value() -> None:
    value = {"mode": "basic", "username": "kim", "password": "${A} ${TOKEN} ${B2}"}
    with pytest.raises(Invalid) as caught:
        filled([definition(auth=value), definition(auth=value)], ENVIRON, keep=False)
    assert len(caught.value.fields) == 4
    assert CANARY not in str(caught.value.fields)


def test_what_is_not_set_may_stay_as_it_is_stored() -> None:
    auth = {"mode": "template", "secrets": {"a": "${TOKEN}", "b": "${NOBODY}"}}
    assert fill({"auth": auth}, keep=True)["auth"]["secrets"] == {"a": CANARY, "b": None}
    # A null would take a passphrase away.
    key = {"mode": "ssh_key", "private_key": "${NOBODY}", "passphrase": "${NOBODY}"}
    found = fill({"auth": key, "tls": {"certificate": "c", "key": "${NOBODY}"}}, keep=True)
    assert (found["auth"], found["tls"]) == ({"mode": "ssh_key"}, {"certificate": "c"})
    with pytest.raises(Invalid):
        fill({"auth": {"mode": "bearer", "token": "${a b}"}}, keep=True)


@pytest.mark.parametrize(
    "value",
    [{"auth": "x"}, {"auth": {"mode": "nonsense", "token": "${A}"}}, {"auth": {"mode": "bearer", "token": 5}},
     {"auth": {"mode": "template", "secrets": [1]}}, {"tls": [1]}],
    ids=range(5),
)  # fmt: skip
def test_what_is_malformed_is_left_to_the_hub_to_judge(value: dict[str, Any]) -> None:
    assert fill(value) == {"name": "crm", **value}


def test_a_definition_is_shown_with_its_variables_and_without_its_secrets() -> None:
    auth = {"mode": "hmac", "key": CANARY, "secrets": {"a": "${TOKEN}", "b": f"${{TOKEN}} {CANARY}"}}
    one = definition(auth=auth, tls={"key": CANARY})
    found = shown(one)
    assert found["auth"] == {"mode": "hmac", "key": "***", "secrets": {"a": "${TOKEN}", "b": "***"}}
    assert found["tls"] == {"key": "***"}
    assert one.value["auth"]["key"] == CANARY
