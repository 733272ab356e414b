"""Signature Version 4 against moto's server, which checks signatures and policies as soon as it is told to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from hub.net.outcome import Outcome
from hub.net.session import GuardedSession
from tests.unit.integrations.auth.requests_in_hand import signer

server = pytest.importorskip("moto.server", reason="moto[server] is not installed")
pytest.importorskip("botocore", reason="the extra aws is not installed")

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


ALL = policy(Action="*", Resource="*")
TRUST = policy(Action="sts:AssumeRole", Principal={"AWS": "*"})


class Aws:
    """moto, and the key of a user who may do everything."""

    def __init__(self, session: GuardedSession, url: str) -> None:
        self.session, self.url = session, url
        self.auth: dict[str, Any] = {"mode": "aws_sigv4", "access_key_id": "x", "secret_access_key": "y"}

    def call(self, method: str, path: str, service: str, *, auth: Any = None, **options: Any) -> Outcome:
        return self.session.call(
            method,
            self.url + path,
            auth=signer({**self.auth, "service": service, **(auth or {})}),
            pool_key=service,
            **options,
        )

    def setup(self) -> None:
        """Make the user, then let everything be checked."""
        for action in (
            {"Action": "CreateUser", "UserName": "ann"},
            {"Action": "PutUserPolicy", "UserName": "ann", "PolicyName": "all", "PolicyDocument": ALL},
            {"Action": "CreateRole", "RoleName": "r", "AssumeRolePolicyDocument": TRUST},
            {"Action": "PutRolePolicy", "RoleName": "r", "PolicyName": "all", "PolicyDocument": ALL},
        ):
            assert self.call("POST", "/", "iam", headers=FORM, data=urlencode(action).encode()).ok
        made = self.call("POST", "/", "iam", headers=FORM, data=b"Action=CreateAccessKey&UserName=ann")
        found = re.findall(r"<(AccessKeyId|SecretAccessKey)>([^<]+)<", made.body.decode())
        named = dict(found)
        self.auth |= {
            "access_key_id": named["AccessKeyId"],
            "secret_access_key": named["SecretAccessKey"],
        }
        assert self.session.call("POST", f"{self.url}/moto-api/reset-auth", data=b"0").ok


@pytest.fixture
def aws(session: GuardedSession) -> Iterator[Aws]:
    moto = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    made = Aws(session, f"http://{host}:{port}")
    try:
        made.setup()
        yield made
    finally:
        session.call("POST", f"{made.url}/moto-api/reset-auth", data=b"inf")
        session.call("POST", f"{made.url}/moto-api/reset")
        moto.stop()


WRONG = {"secret_access_key": "wrong"}
UNKNOWN = {"access_key_id": "AKIAUNKNOWN"}


def test_a_query_service(aws: Aws) -> None:
    body = b"Action=ListUsers&Version=2010-05-08"
    assert b"<UserName>ann</UserName>" in aws.call("POST", "/", "iam", headers=FORM, data=body).body
    refused = aws.call("POST", "/", "iam", headers=FORM, data=body, auth=WRONG)
    assert (refused.status, b"SignatureDoesNotMatch" in refused.body) == (403, True)
    assert aws.call("POST", "/", "iam", headers=FORM, data=body, auth=UNKNOWN).status == 403
    assert aws.session.call("POST", f"{aws.url}/", headers=FORM, data=body).status != 200


def test_a_json_service(aws: Aws) -> None:
    headers = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
    taken = aws.call("POST", "/", "dynamodb", headers=headers, data=b"{}")
    assert json.loads(taken.body) == {"TableNames": []}
    assert aws.call("POST", "/", "dynamodb", headers=headers, data=b"{}", auth=WRONG).status in {400, 403}


@pytest.mark.parametrize(
    "key", ["plain.txt", "with space", "a+b", "p@th/deep/é~x", "x(1)!'*", "q=&;,$"], ids=lambda key: key
)
def test_objects_of_s3_whatever_their_name(aws: Aws, key: str) -> None:
    path = f"/bucket-of-the-test/{quote(key, safe='/')}"
    assert aws.call("PUT", "/bucket-of-the-test", "s3").ok
    assert aws.call("PUT", path, "s3", data=b"\x00\xff body").ok
    assert aws.call("GET", path, "s3").body == b"\x00\xff body"
    listed = aws.call("GET", "/bucket-of-the-test?list-type=2&prefix=" + quote(key), "s3")
    assert listed.body.count(b"<Key>") == 1
    assert aws.call("PUT", path, "s3", data=b"forged", auth=WRONG).status == 403
    assert aws.call("GET", path, "s3").body == b"\x00\xff body"


def test_temporary_credentials(aws: Aws) -> None:
    role = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleSessionName": "s"}
    body = urlencode({**role, "RoleArn": "arn:aws:iam::123456789012:role/r"}).encode()
    answer = aws.call("POST", "/", "sts", headers=FORM, data=body)
    assert answer.ok, answer.body
    named = dict(re.findall(r"<(AccessKeyId|SecretAccessKey|SessionToken)>([^<]+)<", answer.body.decode()))
    temporary = {
        "access_key_id": named["AccessKeyId"],
        "secret_access_key": named["SecretAccessKey"],
        "session_token": named["SessionToken"],
    }
    assert aws.call("GET", "/", "s3", auth=temporary).ok
    refused = aws.call("GET", "/", "s3", auth={**temporary, "session_token": "other"})
    assert (refused.ok, b"InvalidToken" in refused.body) == (False, True)
