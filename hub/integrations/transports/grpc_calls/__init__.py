"""gRPC services: calls of all four kinds, with messages as JSON.

Named so that it is not mistaken for the package `grpc`.
"""

from hub.integrations.transports.grpc_calls.transport import GrpcTransport

__all__ = ["GrpcTransport"]
