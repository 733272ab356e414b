from __future__ import annotations

import os
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.ids import new_uuid
from hub.vault.envelope import (
    KeyEncryptionKey,
    Place,
    Sealed,
    Undecryptable,
    WrappedKey,
    open_sealed,
    rewrap,
    seal,
)

KEK = KeyEncryptionKey.from_bytes(bytes(range(7, 39)))
OTHER_KEK = KeyEncryptionKey.from_bytes(bytes(range(8, 40)))
PLACE = Place(new_uuid(), new_uuid(), "endpoint", "signing_key", 1)
TEXT = b"whsec_canary"


def sealed_here() -> Sealed:
    return seal(KEK, PLACE, TEXT, os.urandom)


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


@given(st.binary(max_size=2000))
def test_what_was_sealed_opens_at_its_place(plaintext: bytes) -> None:
    assert open_sealed(KEK, PLACE, seal(KEK, PLACE, plaintext, os.urandom)) == plaintext


def test_the_ciphertext_does_not_contain_the_plaintext() -> None:
    sealed = sealed_here()
    assert TEXT not in sealed.ciphertext + sealed.key.data


@pytest.mark.parametrize(
    "other",
    [
        {"tenant_id": UUID(int=1)},
        {"secret_id": UUID(int=1)},
        {"kind": "integration"},
        {"field": "password"},
        {"version": 2},
        # The same characters, cut elsewhere: only length prefixes tell these from the real place.
        {"kind": "endpoints", "field": "igning_key"},
        {"kind": "endpoin", "field": "tsigning_key"},
    ],
)
def test_a_ciphertext_moved_to_another_place_does_not_open(other: dict[str, Any]) -> None:
    with pytest.raises(Undecryptable):
        open_sealed(KEK, replace(PLACE, **other), sealed_here())


def test_a_changed_byte_anywhere_does_not_open() -> None:
    sealed = sealed_here()
    for position in range(len(sealed.ciphertext)):
        with pytest.raises(Undecryptable):
            open_sealed(KEK, PLACE, replace(sealed, ciphertext=flipped(sealed.ciphertext, position)))
    for position in range(len(sealed.nonce)):
        with pytest.raises(Undecryptable):
            open_sealed(KEK, PLACE, replace(sealed, nonce=flipped(sealed.nonce, position)))
    for position in range(len(sealed.key.data)):
        wrapped = WrappedKey(KEK.id, flipped(sealed.key.data, position))
        with pytest.raises(Undecryptable):
            open_sealed(KEK, PLACE, replace(sealed, key=wrapped))


@pytest.mark.parametrize("length", [0, 1, 11, 12, 15])
def test_a_cut_off_record_is_refused_like_a_changed_one(length: int) -> None:
    sealed = sealed_here()
    for broken in (
        replace(sealed, ciphertext=sealed.ciphertext[:length]),
        replace(sealed, nonce=sealed.nonce[: min(length, 11)]),
        replace(sealed, key=WrappedKey(KEK.id, sealed.key.data[:length])),
    ):
        with pytest.raises(Undecryptable):
            open_sealed(KEK, PLACE, broken)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(Undecryptable):
        open_sealed(OTHER_KEK, PLACE, sealed_here())


def test_the_wrapped_key_is_bound_to_the_id_of_its_key() -> None:
    sealed = sealed_here()
    renamed = replace(sealed, key=WrappedKey(OTHER_KEK.id, sealed.key.data))
    with pytest.raises(Undecryptable):
        open_sealed(KEK, PLACE, renamed)


def test_rewrapping_changes_the_wrapped_key_and_leaves_the_ciphertext() -> None:
    sealed = sealed_here()
    moved = replace(sealed, key=rewrap(KEK, OTHER_KEK, PLACE, sealed.key, os.urandom))
    assert moved.key.kek_id == OTHER_KEK.id
    assert open_sealed(OTHER_KEK, PLACE, moved) == TEXT
    with pytest.raises(Undecryptable):
        open_sealed(KEK, PLACE, moved)


def test_a_wrapped_key_of_another_row_is_not_rewrapped() -> None:
    with pytest.raises(Undecryptable):
        rewrap(KEK, OTHER_KEK, replace(PLACE, version=2), sealed_here().key, os.urandom)


def test_every_record_draws_its_own_key_and_nonces() -> None:
    drawn: list[int] = []
    numbers = count(1)

    def random_bytes(size: int) -> bytes:
        drawn.append(size)
        return next(numbers).to_bytes(size)

    first = seal(KEK, PLACE, TEXT, random_bytes)
    second = seal(KEK, PLACE, TEXT, random_bytes)
    assert sorted(drawn) == [12, 12, 12, 12, 32, 32]
    assert first.nonce != second.nonce
    assert first.ciphertext != second.ciphertext
    assert first.key.data != second.key.data


def test_neither_a_key_nor_an_error_shows_key_bytes() -> None:
    assert repr(KEK) == f"KeyEncryptionKey(id='{KEK.id}')"
    with pytest.raises(Undecryptable) as caught:
        open_sealed(OTHER_KEK, PLACE, sealed_here())
    assert caught.value.__cause__ is None
    assert str(PLACE.secret_id) in str(caught.value)
