"""WebSocket services: one session a call, in which messages are sent and answers collected."""

from hub.integrations.transports.websocket.transport import WebsocketTransport

__all__ = ["WebsocketTransport"]
