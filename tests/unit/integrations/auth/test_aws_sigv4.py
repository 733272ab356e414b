"""Requests whose signatures AWS has published; the bodies of S3's examples are empty."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.integrations import extras
from hub.integrations.auth.aws_sigv4 import canonical_url
from tests.unit.integrations.auth.requests_in_hand import a_request, faults, signer

auth = pytest.importorskip("botocore.auth", reason="the extra aws is not installed")

S3: dict[str, Any] = {
    "mode": "aws_sigv4",
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "service": "s3",
    "region": "us-east-1",
}
IAM: dict[str, Any] = {
    **S3,
    "access_key_id": "AKIDEXAMPLE",
    "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "service": "iam",
}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_time(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> None:
        moment = datetime(year, month, day, hour, minute, tzinfo=UTC)
        monkeypatch.setattr(auth, "get_current_datetime", lambda **_: moment)

    return set_time


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        # docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "GET Bucket Lifecycle" …
        ("lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        # … and "Get Bucket (List Objects)".
        ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_published_examples_of_s3(at: Any, query: str, signature: str) -> None:
    at(2013, 5, 24)
    signed = signer(S3)(a_request(url=f"https://examplebucket.s3.amazonaws.com/?{query}"))
    assert signed.headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
    )
    assert signed.headers["X-Amz-Date"] == "20130524T000000Z"
    assert signed.headers["X-Amz-Content-SHA256"] == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


def test_the_published_example_of_iam(at: Any) -> None:
    # docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    at(2015, 8, 30, 12, 36)
    signed = signer(IAM)(
        a_request(
            url="https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
            headers={
                "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
                "X-Mine": "unsigned",
            },
        )
    )
    assert signed.headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )
    assert "X-Amz-Content-SHA256" not in signed.headers


def test_the_order_of_parameters_does_not_matter(at: Any) -> None:
    at(2013, 5, 24)
    urls = [f"https://b.s3.amazonaws.com/k?{query}" for query in ("a=1&b=%2F&c", "c=&b=/&a=1")]
    first, second = (signer(S3)(a_request(url=url)).headers["Authorization"] for url in urls)
    assert first == second


def test_a_session_token_is_sent_and_signed(at: Any) -> None:
    at(2013, 5, 24)
    signed = signer({**S3, "session_token": "temp-token"})(a_request())
    assert signed.headers["X-Amz-Security-Token"] == "temp-token"
    assert "x-amz-security-token" in signed.headers["Authorization"]


def test_the_body_is_signed(at: Any) -> None:
    at(2013, 5, 24)
    found = {
        signer({**IAM, "service": service})(a_request("POST", data=body)).headers["Authorization"]
        for service in ("s3", "iam", "aoss")
        for body in (b"a", b"b")
    }
    assert len(found) == 6


def test_services_that_want_the_hash_of_the_body_get_it() -> None:
    signed = signer({**IAM, "service": "aoss"})(a_request("POST", data=b"a"))
    assert signed.headers["X-Amz-Content-SHA256"].startswith("ca978112ca1bbdca")
    assert "x-amz-content-sha256" in signed.headers["Authorization"]


def test_a_request_that_is_signed_twice_has_one_signature(at: Any) -> None:
    at(2013, 5, 24)
    sign, request = signer({**S3, "session_token": "t"}), a_request()
    first = dict(sign(request).headers)
    assert dict(sign(request).headers) == first


def test_nothing_around_it_gives_credentials(
    at: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at(2013, 5, 24)
    expected = signer(S3)(a_request()).headers["Authorization"]
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id=OTHER\naws_secret_access_key=x\naws_session_token=t\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION", "DEFAULT_REGION"):
        monkeypatch.setenv(f"AWS_{name}", "from-the-environment")
    signed = signer(S3)(a_request())
    assert signed.headers["Authorization"] == expected
    assert "X-Amz-Security-Token" not in signed.headers


@pytest.mark.parametrize(
    ("path", "s3", "elsewhere"),
    [
        ("/a b+c%2Fd/é!*'()", "/a%20b%2Bc/d/%C3%A9%21%2A%27%28%29", "/a%20b%2Bc%2Fd/%C3%A9%21%2A%27%28%29"),
        ("", "/", "/"),
        ("//a//", "//a//", "//a//"),
        ("/-_.~%7e%41", "/-_.~~A", "/-_.~~A"),
        ("/%", "/%25", "/%25"),
        ("/?a+b=c%2Bd&e&f=g=h&&x=", "/?a%20b=c%2Bd&e&f=g%3Dh&x=", "/?a%20b=c%2Bd&e&f=g%3Dh&x="),
        ("/?x=%ff", "/?x=%FF", "/?x=%FF"),
    ],
)
def test_a_url_gets_the_spelling_that_aws_knows(path: str, s3: str, elsewhere: str) -> None:
    base = "https://b.s3.amazonaws.com:8443"
    assert canonical_url(base + path, is_s3=True) == base + s3
    assert canonical_url(base + path, is_s3=False) == base + elsewhere
    assert canonical_url(base + s3, is_s3=True) == base + s3


def test_the_log_says_nothing_of_what_is_signed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        signer({**S3, "session_token": "t3mp-token"})(a_request())
    assert "t3mp-token" not in caplog.text


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"access_key_id": "AKIA EXAMPLE"}, "auth.access_key_id"),
        ({"access_key_id": ""}, "auth.access_key_id"),
        ({"service": "S3"}, "auth.service"),
        ({"region": "us/east"}, "auth.region"),
        ({"profile": "default"}, "auth.profile"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any], path: str) -> None:
    assert path in faults({**S3, **more})


def test_without_its_package_a_definition_is_refused_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert faults(S3) == {"auth.mode": "aws_sigv4 needs the package botocore: install integration-hub[aws]"}
