"""amqtt as a process of its own (`python -m … PORT PASSWORDS`): it leaves sockets open when it stops inside another."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from amqtt.broker import Broker


class OwnBroker(Broker):  # type: ignore[misc]
    async def _publish_retained_messages_for_subscription(self, subscription: Any, session: Any) -> None:
        """Only to who subscribed: to a new session this broker gives those of everybody's subscriptions."""
        if any(one is session for one, _ in self._subscriptions.get(subscription[0], [])):
            await super()._publish_retained_messages_for_subscription(subscription, session)


async def serve(port: str, passwords: str) -> None:
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": passwords}},
    }
    await OwnBroker(config).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
