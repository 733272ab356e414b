"""What is kept of a request's head."""

from __future__ import annotations

import pytest

from hub.core.secret import Secret
from hub.sources.redaction import MASK, kept_headers, kept_query, storable

SECRETS = [Secret("s3cret-canary")]


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-gitlab-token",
        "x-api-key",
        "apikey",
        "x-my-secret",
        "password",
    ],
)
def test_a_header_that_is_a_credential_is_masked(name: str) -> None:
    assert kept_headers({name: "x"}, []) == {name: MASK}


@pytest.mark.parametrize(
    "name",
    ["x-hub-signature-256", "stripe-signature", "webhook-id", "content-type", "host", "paypal-cert-url"],
)
def test_other_headers_stay_signatures_too(name: str) -> None:
    assert kept_headers({name: "x=1"}, SECRETS) == {name: "x=1"}


def test_a_secret_is_masked_wherever_it_stands() -> None:
    assert kept_headers({"x-shared": "Bearer s3cret-canary"}, SECRETS) == {"x-shared": MASK}
    assert kept_query("k=s3cret-canary&x=s3cret%2Dcanary&y=1", SECRETS) == f"k={MASK}&x={MASK}&y=1"


def test_a_short_secret_does_not_mask_what_has_it_by_chance() -> None:
    assert kept_headers({"x-shared": "one two"}, [Secret("o")]) == {"x-shared": "one two"}


def test_parameters_that_are_credentials_are_masked_and_others_stay_as_they_were_written() -> None:
    assert kept_query("a=%20+1&access_token=abc&empty=&flag&hub.verify_token=x", []) == (
        f"a=%20+1&access_token={MASK}&empty=&flag&hub.verify_token={MASK}"
    )


def test_text_that_postgres_refuses_is_mended_and_cut() -> None:
    assert storable("a\0b\ud800c", 4) == "a\ufffdb\ufffd"
    assert len(kept_headers({f"h{n}": "x" * 9_999 for n in range(150)}, [])) == 100
    assert {len(value) for value in kept_headers({"h": "x" * 9_999}, []).values()} == {4_096}
