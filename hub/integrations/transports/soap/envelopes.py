"""A message as bytes, with what is added at the last moment: WS-Addressing and credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zeep.wsa import WsAddressingPlugin

from hub.integrations.transports.soap.markup import etree
from hub.integrations.transports.soap.security import add_token

if TYPE_CHECKING:
    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.soap.arguments import Message
    from hub.integrations.transports.soap.forms import SoapSettings


def content_of(
    message: Message, operation: Any, address: str, settings: SoapSettings, credentials: Credentials
) -> bytes:
    """The bytes to post.

    Args:
        message: of the call; its envelope is changed.
        operation: zeep's.
        address: that it goes to.
        settings: the integration's.
        credentials: for a UsernameToken, where the settings want one.

    Raises:
        ValueError: it cannot be made; the text says why, without a secret.
    """
    envelope = message.envelope
    if operation.abstract.wsa_action:
        plugin: Any = WsAddressingPlugin()
        envelope, _ = plugin.egress(envelope, {}, operation, {"address": address})
    if settings.wsse:
        if credentials.mode != "basic":
            raise ValueError("settings.wsse needs user name and password, from an auth of the mode basic")
        try:
            add_token(
                envelope,
                credentials.parameters["username"],
                credentials.secrets["password"],
                digest=settings.wsse_password == "digest",  # noqa: S105 - a way to send it
            )
        except ValueError:
            raise ValueError("the user name or the password has a character that XML cannot hold") from None
    content: bytes = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
    return content
