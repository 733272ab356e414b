from __future__ import annotations

import os
import string
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access.keys import hash_secret, make_key, parse_key, secret_matches
from hub.core.errors import Unauthenticated
from hub.core.ids import new_uuid
from hub.core.logging import mask
from hub.core.secret import Secret

ALPHABET = string.ascii_letters + string.digits


@given(st.uuids(), st.binary(min_size=32, max_size=32))
def test_a_made_key_is_read_back(key_id: UUID, random_bytes: bytes) -> None:
    token, stored_hash = make_key(key_id, random_bytes)
    parsed = parse_key(token.reveal())
    assert parsed.key_id == key_id
    assert secret_matches(parsed.secret, stored_hash)


def test_the_form_is_prefix_id_secret_checksum() -> None:
    key_id = new_uuid()
    token, _ = make_key(key_id, b"\xff" * 32)
    prefix, hexed, rest = token.reveal().split("_")
    assert (prefix, hexed, len(rest)) == ("hub", key_id.hex, 43 + 6)
    assert rest.isalnum()


def test_the_hash_is_all_that_is_stored_and_another_secret_does_not_match() -> None:
    key_id = new_uuid()
    token, stored_hash = make_key(key_id, os.urandom(32))
    other, _ = make_key(key_id, os.urandom(32))
    assert len(stored_hash) == 32
    assert stored_hash == hash_secret(parse_key(token.reveal()).secret)
    assert not secret_matches(parse_key(other.reveal()).secret, stored_hash)


def test_every_single_typo_is_refused_without_a_look_up() -> None:
    text = make_key(new_uuid(), os.urandom(32))[0].reveal()
    for position, character in enumerate(text):
        for wrong in ALPHABET:
            if wrong != character:
                with pytest.raises(Unauthenticated):
                    parse_key(text[:position] + wrong + text[position + 1 :])


def test_two_swapped_neighbours_are_refused() -> None:
    text = make_key(new_uuid(), os.urandom(32))[0].reveal()
    for position in range(len(text) - 1):
        swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
        if swapped != text:
            with pytest.raises(Unauthenticated):
                parse_key(swapped)


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t + "A", lambda t: t + "\n", lambda t: " " + t, str.upper]
)
def test_a_cut_or_padded_key_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(Unauthenticated):
        parse_key(change(make_key(new_uuid(), os.urandom(32))[0].reveal()))


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        parse_key(text)


def test_a_refusal_does_not_repeat_the_key() -> None:
    text = make_key(new_uuid(), os.urandom(32))[0].reveal()
    with pytest.raises(Unauthenticated) as caught:
        parse_key(text[:-2])
    assert text[37:60] not in caught.value.detail


def test_the_log_mask_knows_the_form() -> None:
    token = make_key(new_uuid(), os.urandom(32))[0].reveal()
    assert token[37:] not in mask(f"called with {token}.")


def test_a_short_secret_is_not_made() -> None:
    with pytest.raises(AssertionError):
        make_key(new_uuid(), os.urandom(16))


def test_a_parsed_key_does_not_show_its_secret() -> None:
    parsed = parse_key(make_key(new_uuid(), os.urandom(32))[0].reveal())
    assert parsed.secret.reveal() not in repr(parsed)
    assert isinstance(parsed.secret, Secret)
