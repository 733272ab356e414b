from __future__ import annotations

import pytest

from hub.integrations.auth.challenge import Challenge, first_usable, next_nonce

# RFC 7616, 3.9.1, both challenges as one header value.
TWO = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", '
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


def test_of_several_challenges_the_first_one_is_taken() -> None:
    assert first_usable(TWO) == Challenge(
        realm="http-auth@example.org",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        algorithm="SHA-256",
        qop="auth",
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    )


def test_one_that_cannot_be_answered_is_passed_over() -> None:
    found = first_usable(TWO.replace("SHA-256", "SHA-3"))
    assert found is not None
    assert found.algorithm == "MD5"


def test_other_schemes_around_it_do_no_harm() -> None:
    header = 'Negotiate, Basic realm="a, b=c", Digest nonce="n", realm="x \\"y\\"", stale=TRUE, Bearer'
    assert first_usable(header) == Challenge(realm='x "y"', nonce="n", stale=True)


def test_parameters_may_have_spaces_and_unquoted_values() -> None:
    header = 'dIgEsT realm = "r" , nonce=abc , qop=auth-int , algorithm="md5-sess", userhash=true'
    assert first_usable(header) == Challenge(
        realm="r", nonce="abc", algorithm="md5-sess", qop="auth-int", hashes_user=True
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Digest",
        'Digest realm="r"',
        'Digest nonce="n", qop="auth-conf"',
        'Basic realm="Digest"',
        ",,=,",
        '"',
    ],
)
def test_what_is_no_challenge_that_can_be_answered_is_none(header: str) -> None:
    assert first_usable(header) is None


def test_the_server_may_name_the_next_nonce() -> None:
    assert next_nonce('qop=auth, rspauth="x", nextnonce="n2"') == "n2"
    assert next_nonce('qop=auth, rspauth="x"') is None
    assert next_nonce("") is None
