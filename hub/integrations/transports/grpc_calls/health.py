"""The standard health service (https://github.com/grpc/grpc/blob/master/doc/health-checking.md)."""

from __future__ import annotations

from functools import lru_cache

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from hub.integrations.transports.grpc_calls.messages import from_wire, to_wire
from hub.integrations.transports.grpc_calls.schema import Schema
from hub.net.outcome import ErrorClass

PATH = "/grpc.health.v1.Health/Check"
_PACKAGE = "grpc.health.v1"
_STATES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


def request(service: str) -> bytes:
    """The question for the state of a service; of the server when the name is empty."""
    types = _types()
    return to_wire({"service": service}, types.method(PATH[1:]).input_type, types)


def verdict(answer: bytes) -> tuple[ErrorClass | None, str]:
    """What an answer means.

    Raises:
        BadAnswerError: it is none.
    """
    types = _types()
    told = from_wire(answer, types.method(PATH[1:]).output_type, types, proto_names=True, defaults=True)
    if told["status"] == "SERVING":
        return None, ""
    return ErrorClass.PROVIDER_BUSY, f"The service says that its health is {told['status']}."


@lru_cache(maxsize=1)
def _types() -> Schema:
    text, enum = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_ENUM
    one = FieldDescriptorProto.LABEL_OPTIONAL
    states = EnumDescriptorProto(
        name="ServingStatus",
        value=[EnumValueDescriptorProto(name=name, number=number) for number, name in enumerate(_STATES)],
    )
    service = FieldDescriptorProto(name="service", number=1, type=text, label=one)
    status = FieldDescriptorProto(
        name="status",
        number=1,
        type=enum,
        label=one,
        type_name=f".{_PACKAGE}.HealthCheckResponse.ServingStatus",
    )
    check = MethodDescriptorProto(
        name="Check",
        input_type=f".{_PACKAGE}.HealthCheckRequest",
        output_type=f".{_PACKAGE}.HealthCheckResponse",
    )
    file = FileDescriptorProto(
        name="grpc/health/v1/health.proto",
        package=_PACKAGE,
        syntax="proto3",
        message_type=[
            DescriptorProto(name="HealthCheckRequest", field=[service]),
            DescriptorProto(name="HealthCheckResponse", field=[status], enum_type=[states]),
        ],
        service=[ServiceDescriptorProto(name="Health", method=[check])],
    )
    return Schema([file])
