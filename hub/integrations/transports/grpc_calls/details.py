"""What a service tells of an error beyond its status: the details of `google.rpc.Status`.

Google's services and many others send them in trailing metadata (https://google.aip.dev/193): which field is wrong,
which quota is used up, how long to wait. Details of types that nobody knows are shown as they came.
"""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError

# Puts the types of https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto into the pool.
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.descriptor_pool import DescriptorPool

    from hub.integrations.transports.grpc_calls.calls import Reply

_KEY = "grpc-status-details-bin"
_MOST = 50
_LONGEST_WAIT = 86_400


def details_of(reply: Reply, pool: DescriptorPool | None = None) -> list[dict[str, Any]]:
    """Details as JSON, each with its `@type`; none when there are none that can be read.

    Args:
        reply: of a call that failed.
        pool: the service's own types.
    """
    pools = [Default()] if pool is None else [pool, Default()]
    return [_shown(one, pools) for one in _read(reply)]


def wait_of(reply: Reply) -> str | None:
    """Whole seconds that a service asks to wait before the call is made again; None without such a detail."""
    for one in _read(reply):
        info = RetryInfo()
        try:
            found = one.Unpack(info) and info.HasField("retry_delay")
        except DecodeError:
            continue
        seconds = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
        if found and 0 <= seconds <= _LONGEST_WAIT:
            return str(math.ceil(seconds))
    return None


def _read(reply: Reply) -> list[AnyMessage]:
    raw = next((value for key, value in reply.trailing if key == _KEY), None)
    if not isinstance(raw, bytes):
        return []
    try:
        return list(Status.FromString(raw).details[:_MOST])
    except DecodeError:
        return []


def _shown(detail: AnyMessage, pools: list[DescriptorPool]) -> dict[str, Any]:
    for pool in pools:
        try:
            shown: dict[str, Any] = json_format.MessageToDict(detail, descriptor_pool=pool)
        except (json_format.Error, DecodeError, ValueError, TypeError, KeyError, RecursionError):
            continue
        return shown
    return {"@type": detail.type_url, "value": base64.b64encode(detail.value).decode()}
