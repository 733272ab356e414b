"""A prepared gRPC call as a command of grpcurl, with every credential masked. Pure."""

from __future__ import annotations

import json
from shlex import quote
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hub.integrations.executions.curl_credentials import MASK

if TYPE_CHECKING:
    from hub.integrations.executions.curl_credentials import Credentials
    from hub.integrations.transports.interface import Prepared

_PORTS = {"grpc": 50051, "grpcs": 443}


def grpcurl_of(settings: Any, prepared: Prepared, found: Credentials, tls_files: list[str]) -> str:
    """The command.

    Args:
        settings: of the integration.
        prepared: what would be sent.
        found: places of the credentials.
        tls_files: options that name certificate files.
    """
    parts = urlsplit(prepared.endpoint)
    lines = ["grpcurl"]
    if parts.scheme == "grpc":
        lines.append("-plaintext")
    lines += tls_files
    if settings.authority:
        lines.append(f"-authority {quote(settings.authority)}")
    if settings.descriptor_set is not None:
        lines.append("-protoset service.protoset")
    headers = {**prepared.headers, **{name.lower(): value for name, value in found.headers}}
    if found.login:
        headers["authorization"] = f"Basic {MASK}"
    lines += [f"-H {quote(f'{name}: {value}')}" for name, value in headers.items()]
    messages = " ".join(json.dumps(one, ensure_ascii=False) for one in prepared.wire.messages)
    lines.append(f"-d {quote(messages)}")
    host = parts.netloc if parts.port else f"{parts.netloc}:{_PORTS[parts.scheme]}"
    lines.append(f"{quote(host)} {quote(prepared.method)}")
    return " \\\n  ".join(lines)
