"""Definitions as YAML that is read back as it was."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hub.cli.definition_files import read_definitions
from hub.cli.exporting import as_yaml, exported
from hub.client.results import Integration

SECRET = {"last4": "1234", "fingerprint": "abcdefabcdef"}
TEXTS = [
    "", "no", "on", "null", "~", "1", "0o17", "0x1F", "1e3", "1.0", ".5", "-", "- a", "a: b", "#", "'", '"', "é ✓ 😀",
    "2026-01-01", "22:30", "line\nline", "line\n", "\n", " lead", "trail ", "a\n  b\n c ", "\ttab", "tab\tin", "cr\r\n",
    "\u2028", "\x85", "\x7f", "\0", "${X}", "{{ x }}", "%", "@x", "`", "!x", "&a", "*a", "x" * 300, "word " * 60, "=", "<<",
    "true", "a\n\n\nb", "---", "...", "? x", "| x", "> x", "[", "{a}", ", ",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_any_text_is_read_back(text: str) -> None:
    document = {"name": "a", "x": [text, {"k": text}], text or "empty": 1}
    written = as_yaml(document, {})
    (found,) = read_definitions(written, "a.yaml")
    assert found.value == document


def test_any_other_value_is_read_back() -> None:
    document: dict[str, Any] = {
        "name": "a",
        "x": [1, -1, 0, 1.5, 1e-7, 1e16, True, False, None, [], {}, 10**30, 0.1],
    }
    (found,) = read_definitions(as_yaml(document, {}), "a.yaml")
    assert found.value == document
    assert [type(one) for one in found.value["x"]] == [type(one) for one in document["x"]]


def test_long_texts_are_blocks_and_shared_values_no_aliases() -> None:
    shared = {"a": 1}
    written = as_yaml({"name": "a", "pem": "-----BEGIN-----\nabc\n", "x": shared, "y": shared}, {})
    assert "pem: |\n  -----BEGIN-----\n  abc\n" in written
    assert "&" not in written


def integration(name: str, **fields: Any) -> Integration:
    base = {
        "id": "int_1",
        "version": 3,
        "created_by": None,
        "created_at": "x",
        "updated_at": "x",
        "tls": None,
    }
    return cast("Integration", {**base, "name": name, "auth": {"mode": "none"}, **fields})


def test_secrets_are_variables_with_names_of_their_own() -> None:
    taken: set[str] = set()
    auth = {"mode": "template", "secrets": {"k": SECRET, "other": SECRET}}
    document, secrets = exported(integration("crm-a", auth=auth, tls={"key": SECRET}), None, taken)
    assert document == {
        "name": "crm-a",
        "auth": {
            "mode": "template",
            "secrets": {"k": "${CRM_A_SECRETS_K}", "other": "${CRM_A_SECRETS_OTHER}"},
        },
        "tls": {"key": "${CRM_A_TLS_KEY}"},
    }
    assert secrets["CRM_A_TLS_KEY"] == "tls.key, which ends in 1234"
    again, _ = exported(integration("crm a", tls={"key": SECRET}), None, taken)
    assert again["tls"] == {"key": "${CRM_A_TLS_KEY_2}"}
    for name, variable in (("hub", "SECRET_HUB_TOKEN"), ("2fa", "SECRET_2FA_TOKEN"), ("ü", "TOKEN")):
        found, _ = exported(integration(name, auth={"mode": "bearer", "token": SECRET}), None, taken)
        assert found["auth"]["token"] == f"${{{variable}}}"


def test_a_comment_tells_what_to_set() -> None:
    written = as_yaml({"name": "a"}, {"A_TOKEN": "auth.token, which ends in 1234"})
    assert written.startswith("# Secrets are not written here")
    assert "#   A_TOKEN: auth.token, which ends in 1234\nname: a\n" in written
