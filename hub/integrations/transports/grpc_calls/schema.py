"""Message types and methods of one service, from file descriptors.

Every schema has a pool of its own: two services may use one name for different types. Promises: descriptors come
from outside, so what is wrong with them is an error with a sentence, never another exception.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodOptions
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from hub.integrations.transports.grpc_calls.forms import MAX_DESCRIPTOR_BYTES
from hub.integrations.transports.remembered import Remembered
from hub.net.outcome import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FILES = 1000
# A pool takes several times the bytes of its files.
_POOL_FACTOR = 8
_MOST_BYTES = 128 * 1024 * 1024
_WELL_KNOWN = frozenset(
    {
        "any",
        "api",
        "descriptor",
        "duration",
        "empty",
        "field_mask",
        "source_context",
        "struct",
        "timestamp",
        "type",
        "wrappers",
    }
)


class BadSchemaError(Exception):
    """The descriptors cannot be used; says why, to be read after their place."""


class UnknownMethodError(Exception):
    """There is no such method; says which there are."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method.

    Args:
        path: as it is called: `/pkg.Service/Method`.
        input_type: descriptor of what is sent.
        output_type: descriptor of what comes.
        client_streaming: several messages may be sent.
        server_streaming: several messages may come.
        safe: its author says that it changes nothing.
        idempotent: its author says that doing it twice is doing it once.
    """

    path: str
    input_type: Any
    output_type: Any
    client_streaming: bool
    server_streaming: bool
    safe: bool
    idempotent: bool


class Schema:
    """The types of one service.

    Args:
        files: every file and what it imports, in any order; the well-known types may be missing.

    Raises:
        BadSchemaError: they do not fit together.
    """

    def __init__(self, files: Iterable[FileDescriptorProto]) -> None:
        by_name = {file.name: file for file in files}
        if len(by_name) > MAX_FILES:
            raise BadSchemaError(f"has {len(by_name)} files; at most {MAX_FILES} are read")
        self.pool = DescriptorPool()
        self._services: dict[str, Any] = {}
        for file in _in_order(by_name):
            try:
                self.pool.AddSerializedFile(file.SerializeToString())
                added = self.pool.FindFileByName(file.name)
            except (TypeError, KeyError, ValueError) as error:
                raise BadSchemaError(
                    f"has a file {_name(file.name)} that cannot be used ({safe_text(str(error), 160)})"
                ) from None
            for service in added.services_by_name.values():
                self._services[service.full_name] = service
        self.weight = sum(file.ByteSize() for file in by_name.values()) * _POOL_FACTOR

    def method(self, name: str) -> Method:
        """One method.

        Args:
            name: `pkg.Service/Method`.

        Raises:
            UnknownMethodError: there is none.
        """
        service_name, _, method_name = name.partition("/")
        service = self._services.get(service_name)
        if service is None:
            known = ", ".join(sorted(self._services)[:10]) or "no service at all"
            raise UnknownMethodError(f"names no service of these types; there is {known}")
        found = service.methods_by_name.get(method_name)
        if found is None:
            known = ", ".join(sorted(service.methods_by_name)[:20]) or "no method"
            raise UnknownMethodError(f"names no method of {service_name}; there is {known}")
        level = found.GetOptions().idempotency_level
        safe = level == MethodOptions.NO_SIDE_EFFECTS
        return Method(
            path=f"/{name}",
            input_type=found.input_type,
            output_type=found.output_type,
            client_streaming=found.client_streaming,
            server_streaming=found.server_streaming,
            safe=safe,
            idempotent=safe or level == MethodOptions.IDEMPOTENT,
        )


_from_text: Remembered[Schema] = Remembered(_MOST_BYTES)


def from_text(descriptor_set: str) -> Schema:
    """The schema of a FileDescriptorSet in base64; read once while it is in use.

    Raises:
        BadSchemaError: it is none, or over 4 MiB.
    """

    def make() -> tuple[Schema, int]:
        schema = Schema(_files(descriptor_set))
        return schema, schema.weight + len(descriptor_set)

    return _from_text.get(descriptor_set, make)


def _files(descriptor_set: str) -> list[FileDescriptorProto]:
    try:
        raw = base64.b64decode("".join(descriptor_set.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadSchemaError("is not valid base64 (RFC 4648, 4, with padding)") from None
    if len(raw) > MAX_DESCRIPTOR_BYTES:
        raise BadSchemaError(f"is over {MAX_DESCRIPTOR_BYTES} bytes; leave out files that no method needs")
    try:
        files = list(FileDescriptorSet.FromString(raw).file)
    except (DecodeError, RecursionError):
        raise BadSchemaError("is no FileDescriptorSet; make it with protoc --descriptor_set_out") from None
    if not files:
        raise BadSchemaError("holds no file")
    return files


def _in_order(files: dict[str, FileDescriptorProto]) -> list[FileDescriptorProto]:
    """Every file after those that it imports."""
    ordered: list[FileDescriptorProto] = []
    begun: set[str] = set()
    done: set[str] = set()
    stack = [(name, False) for name in sorted(files, reverse=True)]
    while stack:
        name, imported = stack.pop()
        file = files.get(name) or _well_known(name)
        if file is None:
            raise BadSchemaError(f"lacks the file {_name(name)}; make it with --include_imports")
        if imported:
            done.add(name)
            ordered.append(file)
            continue
        if name in done:
            continue
        if name in begun:
            raise BadSchemaError(f"has a file {_name(name)} that imports itself")
        begun.add(name)
        stack.append((name, True))
        stack += [(dependency, False) for dependency in file.dependency if dependency not in done]
    return ordered


@lru_cache
def _well_known(name: str) -> FileDescriptorProto | None:
    """A file of protobuf's own, which many services do not send along."""
    folder, _, rest = name.rpartition("/")
    stem = rest.removesuffix(".proto")
    if folder != "google/protobuf" or stem not in _WELL_KNOWN:
        return None
    file = FileDescriptorProto()
    import_module(f"google.protobuf.{stem}_pb2").DESCRIPTOR.CopyToProto(file)
    return file


def _name(name: str) -> str:
    return safe_text(name, 80) or "without a name"
