"""Messages to and from brokers and mail servers of others: AMQP, Redis, MQTT, SMTP."""

from hub.integrations.transports.messaging.transport import MessagingTransport

__all__ = ["MessagingTransport"]
