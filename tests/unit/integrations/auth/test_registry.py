from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from hub.integrations.auth.registry import MODES, AuthForm
from tests.unit.integrations.auth.requests_in_hand import FORM, parts


def test_every_mode_has_its_form_in_the_union_and_no_other() -> None:
    union = get_args(AuthForm)[0]
    assert set(get_args(union)) == {mode.form for mode in MODES.values()}


@pytest.mark.parametrize("name", sorted(MODES))
def test_a_form_is_told_by_the_name_of_its_mode(name: str) -> None:
    assert MODES[name].name == name
    assert get_args(MODES[name].form.model_fields["mode"].annotation) == (name,)


@pytest.mark.parametrize("name", sorted(MODES))
def test_every_form_says_what_it_is_for(name: str) -> None:
    assert (MODES[name].form.__doc__ or "").strip()


@pytest.mark.parametrize("name", sorted(MODES))
def test_every_secret_is_a_write_only_field_of_the_form_that_may_be_left_out(name: str) -> None:
    mode = MODES[name]
    for field in (*mode.secrets, *mode.optional_secrets):
        found = mode.form.model_fields[field]
        assert found.annotation == SecretStr | None
        assert found.default is None
        shown = mode.form.model_json_schema(by_alias=False)["properties"][field]
        assert shown["anyOf"][0]["writeOnly"] is True


@pytest.mark.parametrize("name", sorted(MODES))
def test_no_field_that_is_shown_is_typed_as_a_secret(name: str) -> None:
    mode = MODES[name]
    for field, found in mode.form.model_fields.items():
        if field not in mode.secret_fields:
            assert "SecretStr" not in str(found.annotation), field


def test_the_form_has_a_schema_with_every_mode() -> None:
    schema = TypeAdapter(AuthForm).json_schema()
    assert set(schema["discriminator"]["mapping"]) == set(MODES)


@pytest.mark.parametrize(
    "auth", [{}, {"mode": "nothing"}, {"key": "a-secret-in-it"}], ids=["empty", "unknown", "without"]
)
def test_an_unknown_mode_is_refused_with_the_modes_that_there_are(auth: object) -> None:
    with pytest.raises(ValidationError) as refused:
        FORM.validate_python(auth)
    assert all(name in str(refused.value) for name in MODES)


@pytest.mark.parametrize("name", sorted(MODES))
def test_faults_of_a_form_that_is_wrong_everywhere_are_told_and_not_raised(name: str) -> None:
    mode = MODES[name]
    junks: list[object] = [7, [], {}, None, "", {"a": 7}, "x\n{{", True]
    for junk in junks:
        given = {"mode": name} | {
            (found.alias or field): junk for field, found in mode.form.model_fields.items() if field != "mode"
        }
        assert all(fault.path.startswith("auth.") and fault.message for fault in mode.faults(given))


SAMPLES: list[dict[str, Any]] = [
    {"mode": "api_key", "in": "basic", "key": "k"},
    {"mode": "oauth1", "consumer_key": "c", "consumer_secret": "s", "placement": "body"},
    {"mode": "azure_shared_key", "service": "cosmos", "key": "a2V5"},
    {
        "mode": "hmac",
        "string": "{{ body }}",
        "key": "k",
        "query": {"sig": "{{ signature }}{{ salt }}"},
        "secrets": {"salt": "s"},
    },
    {"mode": "aws_sigv4", "access_key_id": "AKID", "service": "s3", "secret_access_key": "s"},
]


@pytest.mark.parametrize("auth", SAMPLES, ids=lambda auth: auth["mode"])
def test_what_was_stored_can_be_sent_back_without_its_secrets(auth: dict[str, Any]) -> None:
    mode = MODES[auth["mode"]]
    stored, secrets = parts(auth)
    named = [name.partition(".")[2] for name in secrets if "." in name]
    kept = {mode.dynamic: dict.fromkeys(named)} if mode.dynamic else {}
    assert not mode.faults({**stored, **kept})
    FORM.validate_python({**stored, **kept})
