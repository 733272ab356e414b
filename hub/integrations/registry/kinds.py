"""The kinds of integrations, and which protocols each of them speaks."""

from __future__ import annotations

from typing import Literal

Type = Literal["api", "webhook", "oauth", "database", "file_transfer", "messaging", "ai_service"]
Protocol = Literal["rest", "graphql", "websocket", "grpc", "soap", "custom"]
Status = Literal["active", "inactive", "maintenance", "deprecated"]

TYPES: tuple[Type, ...] = ("api", "webhook", "oauth", "database", "file_transfer", "messaging", "ai_service")
PROTOCOLS: tuple[Protocol, ...] = ("rest", "graphql", "websocket", "grpc", "soap", "custom")
STATUSES: tuple[Status, ...] = ("active", "inactive", "maintenance", "deprecated")

#: Statuses in which calls are made. A deprecated integration works, and says so in every answer.
CALLABLE: tuple[Status, ...] = ("active", "deprecated")
#: The status in which calls are refused, and what flows and schedules start waits. In maintenance all of it waits.
REFUSING: Status = "inactive"
#: Why an execution waits for its integration: the prefix of the reason.
HELD_BY_STATUS = "integration_"

#: The protocols of each type; the first one is meant when none is said.
SPOKEN: dict[Type, tuple[Protocol, ...]] = {
    "api": ("rest", "graphql", "websocket", "grpc", "soap", "custom"),
    "webhook": ("rest",),
    "oauth": ("rest", "graphql", "websocket", "grpc", "soap", "custom"),
    "database": ("custom",),
    "file_transfer": ("custom",),
    "messaging": ("custom",),
    "ai_service": ("rest",),
}
