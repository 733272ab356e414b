from __future__ import annotations

import logging
import sys

import pytest

from hub.core.logging import LineFormatter, configure_logging, mask

CANARY = "5b1eCanary91"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"authorization: Token {CANARY}",
        f"Authorization: Basic {CANARY}",
        f'Proxy-Authorization: Digest username="x", response="{CANARY}"',
        f"x-api-key={CANARY}",
        f"Cookie: a=b; session={CANARY}",
        f"Set-Cookie: session={CANARY}; HttpOnly",
        f"{{'Authorization': 'Token {CANARY}', 'Accept': '*/*'}}",
        f'{{"x-api-key": "{CANARY}"}}',
        f'"{{\\"X-Api-Key\\": \\"{CANARY}\\"}}"',
        f"[(b'authorization', b'Token {CANARY}')]",
        f"it said bearer {CANARY}",
        f"secret whsec_{CANARY}{CANARY}=",
        f"secret whsk_{CANARY}{CANARY}=",
        f"hub_{'0' * 32}_{CANARY}",
        f"postgresql://hub:{CANARY}@db/hub",
        f"redis://:{CANARY}@127.0.0.1:6379/0",
        f"amqp://user:p@ss{CANARY}@host//",
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str) -> None:
    assert CANARY not in mask(f"before {text}")
    assert "***" in mask(text)
    assert mask(f"first\n{text}\nlast").endswith("\nlast")


@pytest.mark.parametrize(
    "text",
    [
        "the authorization of this call, and nothing else",
        "GET https://api.example:8443/a/b?x=1 HTTP/1.1",
        "mail to someone@example.com about msg_01993f0c9c7a7b3a8d0e6f0a1b2c3d4e",
        "postgresql://hub@db/hub",
        "basic facts",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert mask(text) == text


def test_what_surrounds_a_credential_stays_readable() -> None:
    assert (
        mask("{'Authorization': 'Token abc', 'Accept': '*/*'}") == "{'Authorization': '***', 'Accept': '*/*'}"
    )
    assert mask("postgresql://hub:pw@db/hub is down") == "postgresql://hub:***@db/hub is down"
    assert mask(f"hub_{'0' * 32}_abc") == f"hub_{'0' * 32}_***"


def test_a_record_is_one_masked_line_and_its_traceback_is_masked_too() -> None:
    try:
        raise ValueError(f"Authorization: Bearer {CANARY}")
    except ValueError:
        record = logging.LogRecord(
            "hub.x", logging.WARNING, "f", 1, "sent %s", ({"x-api-key": CANARY},), sys.exc_info()
        )
    record.created, record.msecs = 3_723.5, 500.0
    text = LineFormatter().format(record)
    assert text.startswith("01:02:03.500 WARNING hub.x: sent {'x-api-key': '***'}\nTraceback")
    assert CANARY not in text


def test_configuring_replaces_handlers_and_quietens_what_speaks_per_message() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    noisy = {name: logging.getLogger(name).level for name in ("kombu", "urllib3", "celery.app.trace")}
    try:
        configure_logging("debug")
        configure_logging("debug")
        assert root.level == logging.DEBUG
        assert [type(handler.formatter) for handler in root.handlers] == [LineFormatter]
        assert not logging.getLogger("kombu").isEnabledFor(logging.INFO)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, was in noisy.items():
            logging.getLogger(name).setLevel(was)
