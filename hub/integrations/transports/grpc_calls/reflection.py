"""Asking a service for its message types (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md).

Versions v1 and v1alpha have the same messages under two names. Promises: the number and size of the files are
bounded; what a service says wrong is an error with a sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from hub.integrations.transports.grpc_calls.forms import MAX_DESCRIPTOR_BYTES
from hub.integrations.transports.grpc_calls.messages import BadAnswerError
from hub.integrations.transports.grpc_calls.schema import MAX_FILES
from hub.net.outcome import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    #: Sends requests, gives answers.
    Ask = Callable[[Sequence[bytes]], Iterable[bytes]]

PATHS = (
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)
_OURS = "google/protobuf/"


class NotToldError(Exception):
    """The service does not tell the types; a sentence."""


def files_of(service: str, ask: Ask) -> list[FileDescriptorProto]:
    """The files that describe a service, with all that they import.

    Args:
        service: `pkg.Service`.
        ask: makes one call with all requests.

    Raises:
        NotToldError: the service does not know it, or tells too much.
        BadAnswerError: the answer is none.
    """
    found: dict[str, FileDescriptorProto] = {}
    room = MAX_DESCRIPTOR_BYTES
    asked: set[str] = set()
    requests = [ServerReflectionRequest(file_containing_symbol=service).SerializeToString()]
    while requests:
        for raw in ask(requests):
            for encoded in _files(raw, service):
                room -= len(encoded)
                file = _read(encoded)
                found[file.name] = file
                if room < 0 or len(found) > MAX_FILES:
                    raise NotToldError(
                        f"The service tells more than {MAX_DESCRIPTOR_BYTES} bytes or {MAX_FILES} files of types; "
                        "give a descriptor set instead."
                    )
        wanted = {name for file in found.values() for name in file.dependency} - found.keys() - asked
        # Those of protobuf itself we have; many services do not send them.
        missing = sorted(name for name in wanted if not name.startswith(_OURS))
        asked.update(missing)
        requests = [ServerReflectionRequest(file_by_filename=name).SerializeToString() for name in missing]
    return list(found.values())


def listing() -> bytes:
    """The request for the names of all services."""
    return bytes(ServerReflectionRequest(list_services="*").SerializeToString())


def listed(raw: bytes) -> list[str]:
    """The names in the answer to `listing`.

    Raises:
        BadAnswerError, NotToldError: see there.
    """
    answer = _answer(raw)
    return sorted(one.name for one in answer.list_services_response.service)


def _files(raw: bytes, service: str) -> Sequence[bytes]:
    answer = _answer(raw)
    if answer.HasField("error_response"):
        told = safe_text(answer.error_response.error_message, 120)
        raise NotToldError(f"The service does not tell the types of {service} by reflection ({told}).")
    return list(answer.file_descriptor_response.file_descriptor_proto)


def _answer(raw: bytes) -> ServerReflectionResponse:
    try:
        return ServerReflectionResponse.FromString(raw)
    except DecodeError:
        raise BadAnswerError("The answer of the reflection service is not valid.") from None


def _read(encoded: bytes) -> FileDescriptorProto:
    try:
        return FileDescriptorProto.FromString(encoded)
    except (DecodeError, RecursionError):
        raise BadAnswerError("The reflection service tells a file that is not valid.") from None
