from __future__ import annotations

from typing import Any

import pytest

from hub.integrations.auth.login_call import LoginCallAuth
from hub.integrations.grants.answer import Answer, Failed, Tokens
from hub.integrations.grants.login import read_login
from hub.net.outcome import Outcome, classify_status, status_message

COOKIE = {"in": "cookie", "name": "sid"}


def read(status: int = 200, body: bytes = b"", *, cookies: str = "", **fields: Any) -> Answer:
    settings = LoginCallAuth.model_validate({"mode": "login_call", "url": "/login", **fields})
    headers = {"set-cookie": cookies} if cookies else {}
    return read_login(
        Outcome(status, classify_status(status), status_message(status), headers, body), settings, []
    )


@pytest.mark.parametrize(
    ("cookies", "value"),
    [
        ("sid=abc", "abc"),
        ("sid=abc; Path=/; HttpOnly; SameSite=None; Secure; Priority=High; Partitioned", "abc"),
        ("sid=abc; Expires=Wed, 21 Oct 2065 07:28:00 GMT; HttpOnly, x=1", "abc"),
        ("a=b c; Expires=Wed, 21-Oct-65 07:28:00 GMT, sid=abc;Path=/, xsid=no", "abc"),
        ('sid="gAAA=="; Path=/', '"gAAA=="'),
        ('sid={"a":1,"b":2}; Path=/', '{"a":1,"b":2}'),
        ("sid=a,b=c; Path=/", "a,b=c"),
        ("sid=; Path=/; Max-Age=0, sid=new; Path=/", "new"),
        ("sid=old; Path=/, sid=new; Path=/", "new"),
        ("sid=new; Path=/, sid=; Max-Age=0; Path=/old", "new"),
        ("sid=new; Path=/, sid=deleted; Path=/old; max-age=0", "new"),
    ],
)
def test_a_cookie_is_read_as_it_was_set(cookies: str, value: str) -> None:
    found = read(cookies=cookies, token=COOKIE)
    assert isinstance(found, Tokens)
    assert found.access.reveal() == value


@pytest.mark.parametrize("cookies", ["", "sid", "sid=; Path=/", "sid=deleted; Max-Age=0", "Sid=x, xsid=y"])
def test_a_cookie_that_is_not_set_is_no_token(cookies: str) -> None:
    found = read(cookies=cookies, token=COOKIE)
    assert isinstance(found, Failed)
    assert "its cookie `sid`" in found.message


@pytest.mark.parametrize(
    ("status", "body", "lasting"),
    [
        (200, b'{"success":false,"message":"bad password"}', True),
        (200, b"<html>Log in</html>", True),
        (302, b"", True),
        (400, b'{"message":"bad password"}', True),
        (429, b"", False),
        (500, b"", False),
    ],
)
def test_a_login_that_gives_no_token_is_not_repeated_for_ever(
    status: int, body: bytes, lasting: bool
) -> None:
    found = read(status, body)
    assert isinstance(found, Failed)
    assert found.lasting is lasting
