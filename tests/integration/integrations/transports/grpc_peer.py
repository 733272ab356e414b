"""A gRPC service for tests: grpcio's own server, with reflection and health; its .proto files are compiled here."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection, reflection_pb2
from grpc_tools import protoc

TOKEN = "canary-grpc-token-4711"
_THREADS = 24
# An empty SETTINGS frame (RFC 9113, 6.5).
_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])

TYPES = """
syntax = "proto3";
package shop.types;
import "google/protobuf/timestamp.proto";
message Price { string currency = 1; int64 cents = 2; }
message Stamp { google.protobuf.Timestamp at = 1; }
"""
SHOP = """
syntax = "proto3";
package shop.v1;
import "shop/types.proto";
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
enum Kind { KIND_UNKNOWN = 0; KIND_BOOK = 1; }
message Item {
  string item_id = 1;
  shop.types.Price price = 2;
  shop.types.Stamp stamp = 3;
  Kind kind = 4;
  bytes picture = 5;
  google.protobuf.Struct extra = 6;
  google.protobuf.Any detail = 7;
  repeated string tags = 8;
  map<int32, double> scores = 9;
  oneof place { string shelf = 10; int32 box = 11; }
}
message GetRequest { string item_id = 1; int32 size = 2; }
message ListRequest { int32 count = 1; int32 size = 2; int32 pause_ms = 3; }
message Number { int64 value = 1; }
message Total { int64 value = 1; int32 count = 2; }
message FailRequest { int32 code = 1; string text = 2; map<string, string> trailing = 3; int32 after = 4; }
service Shop {
  rpc Get(GetRequest) returns (Item) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Put(Item) returns (Item) { option idempotency_level = IDEMPOTENT; }
  rpc List(ListRequest) returns (stream Item);
  rpc Sum(stream Number) returns (Total);
  rpc Chat(stream Number) returns (stream Number);
  rpc Fail(FailRequest) returns (Item);
  rpc FailLate(FailRequest) returns (stream Item);
  rpc Hang(GetRequest) returns (Item);
}
"""
# The interface of grpc.health.v1, as its documentation says it.
HEALTH = """
syntax = "proto3";
package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse {
  enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
  ServingStatus status = 1;
}
service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }
"""
FILES = {"shop/types.proto": TYPES, "shop/shop.proto": SHOP, "health.proto": HEALTH}


def compiled(folder: Path, texts: dict[str, str] | None = None, *, imports: bool = True) -> bytes:
    """The FileDescriptorSet of .proto texts."""
    texts = texts or FILES
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    out = folder / "set.pb"
    well_known = str(files("grpc_tools").joinpath("_proto"))
    arguments = ["protoc", f"-I{folder}", f"-I{well_known}", f"--descriptor_set_out={out}"]
    arguments += ["--include_imports"] if imports else []
    assert protoc.main([*arguments, *texts]) == 0
    return out.read_bytes()


def as_text(descriptor_set: bytes) -> str:
    return base64.b64encode(descriptor_set).decode()


@dataclass
class Peer:
    """A running service.

    Attributes:
        port: on 127.0.0.1.
        descriptor_set: its types.
        health: what it says of its own health.
        metadata: what came with each call.
        peers: where the calls came from.
        cancelled: set when a call that hangs or streams ended.
        hanging: set when a call began to hang or stream.
        token: when set, calls without it are refused.
    """

    descriptor_set: bytes
    port: int = 0
    health: int = 1
    metadata: list[dict[str, Any]] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    hanging: threading.Event = field(default_factory=threading.Event)
    token: str | None = None

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    @property
    def text(self) -> str:
        return as_text(self.descriptor_set)


class _Guard(grpc.ServerInterceptor):  # type: ignore[misc,type-arg,unused-ignore]
    """Notes the metadata of every call, and refuses those without the token."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        given: dict[str, Any] = dict(details.invocation_metadata or ())
        self._peer.metadata.append(given)
        handler = continuation(details)
        if self._peer.token is None or given.get("authorization") == f"Bearer {self._peer.token}":
            return handler

        def refuse(_: Any, context: Any) -> Any:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "not with these credentials")

        if handler is None:
            return grpc.unary_unary_rpc_method_handler(refuse)
        if handler.response_streaming:
            kind = grpc.stream_stream_rpc_method_handler if handler.request_streaming else None
            return (kind or grpc.unary_stream_rpc_method_handler)(refuse)
        kind = grpc.stream_unary_rpc_method_handler if handler.request_streaming else None
        return (kind or grpc.unary_unary_rpc_method_handler)(refuse)


class _Shop:
    """The handlers, over message classes made of the descriptors."""

    def __init__(self, peer: Peer, pool: DescriptorPool) -> None:
        self._peer = peer
        self._pool = pool

    def type(self, name: str) -> Any:
        return GetMessageClass(self._pool.FindMessageTypeByName(name))

    def item(self, **fields: Any) -> Any:
        return self.type("shop.v1.Item")(**fields)

    def get(self, request: Any, context: Any) -> Any:
        self._peer.peers.append(context.peer())
        context.send_initial_metadata((("x-request-id", "r-1"),))
        context.set_trailing_metadata((("x-cost", "3"), ("x-raw-bin", b"\x00\xff")))
        return self.item(item_id=request.item_id, picture=bytes(request.size))

    def put(self, request: Any, context: Any) -> Any:
        return request

    def list(self, request: Any, context: Any) -> Iterator[Any]:
        if not context.add_callback(self._peer.cancelled.set):
            self._peer.cancelled.set()  # it has ended already
        self._peer.hanging.set()
        pause = threading.Event()
        for number in range(request.count):
            pause.wait(request.pause_ms / 1000)
            yield self.item(item_id=str(number), picture=bytes(request.size))

    def sum(self, requests: Iterator[Any], context: Any) -> Any:
        values = [request.value for request in requests]
        return self.type("shop.v1.Total")(value=sum(values), count=len(values))

    def chat(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        for request in requests:
            yield self.type("shop.v1.Number")(value=request.value * 10)

    def fail(self, request: Any, context: Any) -> Any:
        context.set_trailing_metadata(
            tuple(
                (key, base64.b64decode(value) if key.endswith("-bin") else value)
                for key, value in request.trailing.items()
            )
        )
        code = next(code for code in grpc.StatusCode if code.value[0] == request.code)
        context.abort(code, request.text)

    def fail_late(self, request: Any, context: Any) -> Iterator[Any]:
        for number in range(request.after):
            yield self.item(item_id=str(number))
        self.fail(request, context)

    def hang(self, request: Any, context: Any) -> Any:
        ended = threading.Event()
        context.add_callback(ended.set)
        self._peer.hanging.set()
        ended.wait(30)
        self._peer.cancelled.set()
        return self.item()

    def check(self, request: Any, context: Any) -> Any:
        if request.service == "unknown":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return self.type("grpc.health.v1.HealthCheckResponse")(status=self._peer.health)


_KINDS = {
    "Get": ("unary_unary", "get"),
    "Put": ("unary_unary", "put"),
    "List": ("unary_stream", "list"),
    "Sum": ("stream_unary", "sum"),
    "Chat": ("stream_stream", "chat"),
    "Fail": ("unary_unary", "fail"),
    "FailLate": ("unary_stream", "fail_late"),
    "Hang": ("unary_unary", "hang"),
}


def _handlers(shop: _Shop, pool: DescriptorPool, service: str, kinds: dict[str, tuple[str, str]]) -> Any:
    described = pool.FindServiceByName(service)
    handlers = {}
    for name, (kind, attribute) in kinds.items():
        given = GetMessageClass(described.methods_by_name[name].input_type)
        make: Callable[..., Any] = getattr(grpc, f"{kind}_rpc_method_handler")
        handlers[name] = make(
            getattr(shop, attribute),
            request_deserializer=given.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
    return grpc.method_handlers_generic_handler(service, handlers)


@contextlib.contextmanager
def serving(
    folder: Path,
    *,
    reflect: str | None = "v1alpha",
    tls: Any = None,
    client_ca: bytes | None = None,
    compression: Any = None,
    token: str | None = None,
    port: int = 0,
    max_receive_bytes: int = 4_194_304,
) -> Iterator[Peer]:
    """Run the service.

    Args:
        folder: for the .proto files.
        reflect: version of the reflection service; None has none.
        tls: a `trustme` certificate; None is plaintext.
        client_ca: demands client certificates of this authority.
        compression: of the answers.
        token: the bearer token that calls have to carry.
        port: 0 takes a free one.
        max_receive_bytes: of a message.
    """
    peer = Peer(compiled(folder), token=token)
    pool = DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(peer.descriptor_set).file:
        pool.AddSerializedFile(file.SerializeToString())
    shop = _Shop(peer, pool)
    threads = ThreadPoolExecutor(_THREADS)
    # All of them now: tests count threads.
    all_there = threading.Barrier(_THREADS)
    list(threads.map(lambda _: all_there.wait(10), range(_THREADS)))
    server = grpc.server(
        threads,
        interceptors=[_Guard(peer)],
        compression=compression,
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", max_receive_bytes),
        ],
    )
    handlers = [
        _handlers(shop, pool, "shop.v1.Shop", _KINDS),
        _handlers(shop, pool, "grpc.health.v1.Health", {"Check": ("unary_unary", "check")}),
    ]
    if reflect is not None:
        names = ("shop.v1.Shop", "grpc.health.v1.Health", reflection.SERVICE_NAME)
        servicer = reflection.ReflectionServicer(names, pool=pool)
        handler = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        handlers.append(
            grpc.method_handlers_generic_handler(
                f"grpc.reflection.{reflect}.ServerReflection", {"ServerReflectionInfo": handler}
            )
        )
    server.add_generic_rpc_handlers(tuple(handlers))
    if tls is None:
        peer.port = server.add_insecure_port(f"127.0.0.1:{port}")
    else:
        chain = b"".join(one.bytes() for one in tls.cert_chain_pems)
        credentials = grpc.ssl_server_credentials(
            [(tls.private_key_pem.bytes(), chain)],
            root_certificates=client_ca,
            require_client_auth=client_ca is not None,
        )
        peer.port = server.add_secure_port(f"127.0.0.1:{port}", credentials)
    server.start()
    try:
        yield peer
    finally:
        server.stop(0).wait(10)
        threads.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def http1(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that speaks HTTP/1.1 alone; gives its port."""

    def behave(connection: socket.socket) -> None:
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
        with connection:
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with _listening(behave) as port:
        yield port


@contextlib.contextmanager
def resetting() -> Iterator[int]:
    """A server that takes a call and closes the connection; gives its port."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(_SETTINGS)
        got = b""
        while b"grpc" not in got and (more := connection.recv(65_536)):
            got += more

    with _listening(behave) as port:
        yield port


@contextlib.contextmanager
def silent(said: bytes) -> Iterator[int]:
    """A server that says this and then nothing until the other side closes; gives its port."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(said)
        while connection.recv(65_536):
            pass

    with _listening(behave) as port:
        yield port


@contextlib.contextmanager
def _listening(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with contextlib.suppress(OSError):
                        behave(connection)
                    connection.close()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
