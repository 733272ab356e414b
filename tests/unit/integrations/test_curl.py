"""Parts of the commands that no test runs."""

from __future__ import annotations

import base64
import shlex
from typing import Any

import pytest

from hub.integrations.executions.curl_body import body_options
from hub.integrations.executions.curl_credentials import credentials_of
from hub.integrations.executions.grpcurl import grpcurl_of
from hub.integrations.transports.grpc_calls.forms import GrpcOperation, GrpcSettings
from hub.integrations.transports.grpc_calls.transport import Wire
from hub.integrations.transports.interface import Prepared

CALL_PLACE = {"in": "cookie", "name": "sid", "template": "v={{ token }}"}


@pytest.mark.parametrize(
    ("mode", "parameters", "headers", "query"),
    [
        ("oauth2", {"placement": None}, [("Authorization", "Bearer ***")], []),
        ("oauth2", {"placement": {"in": "query", "name": "t", "prefix": ""}}, [], ["t=***"]),
        ("google_service_account", {}, [("Authorization", "Bearer ***")], []),
        ("login_call", {"placement": CALL_PLACE}, [("Cookie", "sid=v%3D***")], []),
        ("oauth1", {"placement": "header"}, [("Authorization", "OAuth ***")], []),
        ("oauth1", {"placement": "body"}, [], []),
        ("azure_shared_key", {"service": "blob"}, [("Authorization", "***")], []),
        ("a_mode_of_tomorrow", {}, [("Authorization", "***")], []),
    ],
)
def test_a_token_or_a_signature_stands_in_its_place_and_is_explained(
    mode: str, parameters: dict[str, Any], headers: list[tuple[str, str]], query: list[str]
) -> None:
    found = credentials_of(mode, parameters, ())
    assert (found.headers, found.query) == (headers, query)
    assert len(found.notes) == 1


@pytest.mark.parametrize(
    ("secrets", "headers"),
    [((), []), (("session_token",), [("X-Amz-Security-Token", "***")])],
    ids=["lasting", "temporary"],
)
def test_aws_is_signed_by_curl_itself(secrets: tuple[str, ...], headers: list[tuple[str, str]]) -> None:
    parameters = {"access_key_id": "AKID", "service": "s3", "region": "eu-west-1"}
    found = credentials_of("aws_sigv4", parameters, secrets)
    assert found.options == ["--aws-sigv4 aws:amz:eu-west-1:s3", "--user 'AKID:***'"]
    assert (found.headers, found.notes) == (headers, [])


def test_a_form_whose_name_an_option_cannot_hold_is_piped() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="a=b"\r\n\r\nx\r\n--b--\r\n'
    before, options, headers = body_options(body, [("Content-Type", "multipart/form-data; boundary=b")])
    assert base64.b64decode(before.split()[2]) == body
    assert options == ["--data-binary @-"]
    assert headers != []


def words_of(command: str) -> list[str]:
    """As a shell reads it."""
    return shlex.split(command.replace("\\\n", ""))


def prepared(base_url: str, **given: Any) -> Prepared:
    wire = Wire(GrpcOperation(method="shop.Orders/Get"), ({"id": "it's"}, {"n": 2}), True, {}, "input")
    return Prepared("shop.Orders/Get", f"{base_url}/shop.Orders/Get", given, None, True, True, wire)


def test_a_grpc_call_is_a_command_of_grpcurl() -> None:
    found = credentials_of("bearer", {}, ())
    line = grpcurl_of(GrpcSettings(), prepared("grpcs://shop.example", trace="a b"), found, [])
    assert words_of(line) == [
        "grpcurl", "-H", "trace: a b", "-H", "authorization: Bearer ***", "-d", '{"id": "it\'s"} {"n": 2}',
        "shop.example:443", "shop.Orders/Get",
    ]  # fmt: skip


def test_grpc_without_tls_and_with_a_login() -> None:
    found = credentials_of("basic", {"username": "kim"}, ())
    settings = GrpcSettings(authority="a.example", descriptor_set="CgA=")
    words = words_of(grpcurl_of(settings, prepared("grpc://127.0.0.1:5000"), found, ["-cacert ca.pem"]))
    assert words[:8] == [
        "grpcurl", "-plaintext", "-cacert", "ca.pem", "-authority", "a.example", "-protoset", "service.protoset",
    ]  # fmt: skip
    assert "authorization: Basic ***" in words
    assert words[-2:] == ["127.0.0.1:5000", "shop.Orders/Get"]
