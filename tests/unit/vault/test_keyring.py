from __future__ import annotations

import base64
import os

import pytest

from hub.core.errors import ConfigError
from hub.core.settings import load_settings
from hub.vault.keyring import KeyRing, generate_key, parse_keys


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_the_first_key_is_the_primary_and_all_are_found_by_id() -> None:
    first, second = generate_key(os.urandom), generate_key(os.urandom)
    ring = parse_keys(f" {first} , {second}\n")
    assert ring.primary.id == parse_keys(first).primary.id
    assert [key.id for key in ring.older] == [parse_keys(second).primary.id]
    assert ring.find(ring.older[0].id) is ring.older[0]
    assert ring.find("unknown") is None
    assert ring.find(None) is None


def test_the_id_of_a_key_is_stable_and_short() -> None:
    key = generate_key(os.urandom)
    assert parse_keys(key).primary.id == parse_keys(key).primary.id
    assert len(parse_keys(key).primary.id) == 16
    assert parse_keys(key).primary.id not in base64.b64decode(key).hex()


def test_a_generated_key_is_32_bytes_of_the_given_randomness() -> None:
    assert base64.b64decode(generate_key(lambda size: b"\x01" * size)) == b"\x01" * 32


def test_thousands_of_random_keys_are_all_accepted() -> None:
    for _ in range(2000):
        parse_keys(generate_key(os.urandom))


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_an_empty_ring_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="hub keys generate"):
        parse_keys(text)


def test_a_missing_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="HUB_MASTER_KEYS is not set"):
        KeyRing.from_settings(load_settings({}))


def test_the_ring_is_read_from_the_settings() -> None:
    key = generate_key(os.urandom)
    assert KeyRing.from_settings(load_settings({"HUB_MASTER_KEYS": key})) == parse_keys(key)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("not base64!", "not base64"),
        ("ключ", "not base64"),
        (encoded(os.urandom(32))[:-1], "not base64"),
        (encoded(os.urandom(31)), "31 bytes"),
        (encoded(os.urandom(33)), "33 bytes"),
        (encoded(os.urandom(16)), "16 bytes"),
    ],
    # Names of their own: random ones would differ between the processes that share the run.
    ids=["no base64", "cyrillic", "cut off", "31 bytes", "33 bytes", "16 bytes"],
)
def test_a_malformed_key_is_named_by_its_position_and_never_shown(bad: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"key 2 .*{reason}") as caught:
        parse_keys(f"{generate_key(os.urandom)},{bad}")
    assert bad not in str(caught.value)


def test_a_trailing_comma_is_not_taken_for_a_key() -> None:
    with pytest.raises(ConfigError, match="key 2 has 0 bytes"):
        parse_keys(f"{generate_key(os.urandom)},")


def test_the_same_key_twice_is_refused() -> None:
    key = generate_key(os.urandom)
    with pytest.raises(ConfigError, match="keys 1 and 3 are the same"):
        parse_keys(f"{key},{generate_key(os.urandom)},{key}")


@pytest.mark.parametrize(
    "raw",
    [
        bytes(32),
        b"\xff" * 32,
        b"A" * 32,
        b"\x01\x02" * 16,
        bytes(range(32)),
        bytes(range(1, 33)),
        bytes(reversed(range(100, 132))),
        b"0123456789abcdef0123456789abcdef",
        b"change-me-change-me-change-me-!!",
        b"correct horse battery staple ok?",
        b"9f86d081884c7d659a2feaa0c55ad015",
    ],
)
def test_examples_and_phrases_are_refused(raw: bytes) -> None:
    with pytest.raises(ConfigError, match="an example or a phrase"):
        parse_keys(encoded(raw))
