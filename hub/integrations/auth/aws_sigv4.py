"""AWS Signature Version 4, with credentials that were given for this and from nowhere else.

The signature is botocore's (extra `aws`), made without its sessions: no profile, no environment variable and no
metadata service is ever read. Source: AWS, IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import logging
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit

from pydantic import Field

from hub.core.errors import FieldError
from hub.integrations.auth.fields import WriteOnly
from hub.integrations.auth.mode import Mode, Parameters, Secrets
from hub.integrations.auth.request_places import body_of
from hub.integrations.extras import lack_of
from hub.integrations.forms import Form

_S3 = frozenset({"s3", "s3-outposts", "s3-object-lambda"})
#: Services beside S3 that want to see the hash of the body.
_HASH_WANTED = frozenset({"aoss", "glacier", "vpc-lattice-svcs"})
_HASH_HEADER = "X-Amz-Content-SHA256"
_SIGNED_HEADERS = frozenset({"content-type", "content-md5"})
_ADDED_HEADERS = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token", _HASH_HEADER)

Token = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]


class AwsSigV4Auth(Form):
    """AWS Signature Version 4 for one service in one region, with the credentials given here."""

    mode: Literal["aws_sigv4"]
    access_key_id: str = Field(pattern=r"^[A-Za-z0-9_]{1,128}$", description="It is shown.")
    service: Token = Field(description="As it is signed: `s3`, `execute-api`, `dynamodb`, `es` …")
    region: Token = Field(default="us-east-1", description="As it is signed.")
    secret_access_key: WriteOnly = None
    session_token: WriteOnly = None


class AwsSigV4:
    """Signs requests.

    Args:
        parameters: `access_key_id`, `service`, `region`.
        secrets: `secret_access_key`; `session_token` with temporary credentials.
    """

    def __init__(self, parameters: Parameters, secrets: Secrets) -> None:
        self._parameters = parameters
        self._secrets = secrets

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request, and write its URL in the one spelling that the signature knows."""
        from botocore.auth import S3SigV4Auth, SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        # At DEBUG it logs what it signs, a session token among that.
        logging.getLogger("botocore.auth").setLevel(logging.INFO)
        service, region = self._parameters["service"], self._parameters["region"]
        body = body_of(request)
        request.url = canonical_url(request.url, is_s3=service in _S3)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in _SIGNED_HEADERS or name.lower().startswith("x-amz-")
        }
        if service in _HASH_WANTED:
            headers[_HASH_HEADER] = hashlib.sha256(body).hexdigest()
        signed = AWSRequest(method=request.method, url=request.url, data=body, headers=headers)
        token = self._secrets.get("session_token")
        credentials = Credentials(
            self._parameters["access_key_id"],
            self._secrets["secret_access_key"].reveal(),
            None if token is None else token.reveal(),
        )
        (S3SigV4Auth if service in _S3 else SigV4Auth)(credentials, service, region).add_auth(signed)
        for name in _ADDED_HEADERS:
            if name in signed.headers:
                request.headers[name] = signed.headers[name]
        return request


def canonical_url(url: str, *, is_s3: bool) -> str:
    """The same URL with everything but RFC 3986's unreserved characters percent-encoded, as AWS encodes it.

    AWS reads a URL, encodes it anew and compares, so another valid spelling of it is a wrong signature.

    Args:
        url: absolute.
        is_s3: S3 takes an encoded slash in the path for a slash.
    """
    parts = urlsplit(url)
    if is_s3:
        path = _encode(parts.path, plus=False, safe="/")
    else:
        path = "/".join(_encode(segment, plus=False) for segment in parts.path.split("/"))
    pairs = (pair.partition("=") for pair in parts.query.split("&") if pair)
    query = "&".join(f"{_encode(name)}{equals}{_encode(value)}" for name, equals, value in pairs)
    return urlunsplit((parts.scheme, parts.netloc, path or "/", query, ""))


def _encode(text: str, *, plus: bool = True, safe: str = "") -> str:
    """Encode what may be encoded already; in a query, a plus is a space."""
    return quote(unquote_to_bytes(text.replace("+", " ") if plus else text), safe=f"{safe}-_.~")


def faults(given: Parameters) -> list[FieldError]:
    """What is wrong beyond the form."""
    del given
    lack = lack_of("aws")
    return [] if lack is None else [FieldError("auth.mode", f"aws_sigv4 {lack}")]


MODE = Mode(
    "aws_sigv4",
    AwsSigV4Auth,
    secrets=("secret_access_key",),
    optional_secrets=("session_token",),
    sign=AwsSigV4,
    faults=faults,
)
