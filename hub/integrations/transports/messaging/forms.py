"""What a definition of a messaging integration says."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hub.integrations.forms import Form
from hub.integrations.operation import OperationForm

MAX_COUNT = 1000
Addresses = list[Annotated[str, StringConstraints(max_length=320)]]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class MessagingSettings(Form):
    """How the server is reached; its address is `base_url`, with AMQP's virtual host or Redis's database as path."""

    tls: Literal["verify", "require", "disable"] = Field(
        default="verify",
        description="For schemes with TLS, and SMTP. `verify`: encrypted, and the certificate is for this host; "
        "`require`: encrypted, to whoever answers; `disable`: SMTP without STARTTLS, and so without a login.",
    )
    helo: Name | None = Field(default=None, description="SMTP: the name by which the hub introduces itself.")


class MessagingOperation(OperationForm):
    """One kind of message to publish, consume or send. Texts with `{name}` take `parameters` of the input."""

    action: Literal["publish", "consume", "send"] = Field(
        description="`publish` and `consume` for brokers, `send` for mail."
    )
    exchange: str | None = Field(
        default=None, max_length=255, description="AMQP, publish: empty is the default exchange."
    )
    routing_key: Name | None = Field(default=None, description="AMQP, publish.")
    queue: Name | None = Field(default=None, description="AMQP: consume from it, or publish straight to it.")
    topic: Name | None = Field(default=None, description="MQTT.")
    stream: Name | None = Field(default=None, description="Redis: XADD, XREAD.")
    list: Name | None = Field(default=None, description="Redis: push to its end, take from its beginning.")
    channel: Name | None = Field(default=None, description="Redis, publish: who listens now gets it.")
    headers: dict[Name, str] = Field(default={}, max_length=30, description="AMQP and Redis streams; mail.")
    content_type: Name | None = Field(
        default=None, description="Unset: `application/json`, `text/plain` or none, as the input has it."
    )
    persistent: bool = Field(default=True, description="AMQP: the broker writes it to disk.")
    confirm: bool = Field(default=True, description="AMQP: wait until the broker has it, and a queue for it.")
    retain: bool = Field(default=False, description="MQTT: kept for later subscribers.")
    qos: Literal[0, 1, 2] = Field(default=1, description="MQTT. A session consumes with 1 where this is 2.")
    max_length: int | None = Field(
        default=None, ge=1, le=100_000_000, description="Redis streams: about how many entries stay."
    )
    count: int = Field(default=1, ge=1, le=MAX_COUNT, description="consume: at most so many messages.")
    wait_seconds: float = Field(
        default=1.0,
        ge=0,
        le=300,
        allow_inf_nan=False,
        description="consume: how long to wait for the first one.",
    )
    ack: bool = Field(
        default=True,
        description="consume: take them away. Off, they stay for the next who comes: of a group of a stream, for "
        "the next call of this hub.",
    )
    group: Name | None = Field(
        default=None,
        description="Redis streams: read as the consumer `hub` of this group. What a call got and could not answer "
        "comes again: at once, or a minute after a call that ended without a word.",
    )
    session: Name | None = Field(
        default=None,
        description="MQTT, consume: the name of a session that keeps messages between calls, one for each topic; its "
        "client id is this name, `-` and 12 hexadecimal digits.",
    )
    sender: str | None = Field(default=None, alias="from", max_length=320, description="send: the author.")
    to: Addresses = Field(default=[], max_length=100, description="send: unless the input says.")
    subject: str | None = Field(default=None, max_length=998, description="send: unless the input says.")
