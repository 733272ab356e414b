from __future__ import annotations

import pytest

from hub.core.headers import is_credential, is_refused, is_token, is_value


@pytest.mark.parametrize("name", ["X-Order", "x!#$%&'*+-.^_`|~9", "a" * 5000])
def test_a_token_is_a_name(name: str) -> None:
    assert is_token(name)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "a\n", "ä", "a\x00", "a/b"], ids=ascii)
def test_nothing_else_is_a_name(name: str) -> None:
    assert not is_token(name)


@pytest.mark.parametrize(
    ("value", "fit"),
    [("", True), ("a\tb ~", True), ("a\n", False), ("a\r\nX: y", False), ("\x7f", False), ("ü", False)],
    ids=ascii,
)
def test_a_value_is_one_line_of_printable_ascii(value: str, fit: bool) -> None:
    assert is_value(value) is fit


@pytest.mark.parametrize("name", ["HOST", "Content-Length", "TE", "Proxy-Anything", "WebHook-Id"])
def test_the_hubs_own_headers_are_refused_in_any_spelling(name: str) -> None:
    assert is_refused(name)


@pytest.mark.parametrize("name", ["Accept", "X-Host", "webhook", "proxy", "Authorization"])
def test_others_are_left_to_the_caller(name: str) -> None:
    assert not is_refused(name)


def test_credentials_are_told_in_any_spelling() -> None:
    assert [name for name in ("Authorization", "COOKIE", "X-Api-Key") if is_credential(name)] == [
        "Authorization",
        "COOKIE",
    ]
