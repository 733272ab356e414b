"""The message of a SOAP call as a command posts it. Pure, where the WSDL's text is part of the definition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hub.core.secret import Secret
from hub.integrations.auth.mode import Credentials
from hub.integrations.executions.curl_credentials import MASK, SIGNED

if TYPE_CHECKING:
    from hub.integrations.target import Target
    from hub.integrations.transports.interface import Prepared

#: The hash in a UsernameToken of WS-Security.
_DIGEST = re.compile(rb'(<[^<>]*#PasswordDigest"[^<>]*>)[^<>]*')


class NoFormError(Exception):
    """There is no such command; says why, to be read after a colon."""


def soap_message_of(
    target: Target, prepared: Prepared, notes: list[str]
) -> tuple[str, dict[str, str], bytes]:
    """Address, headers and envelope, in which a password is `***`.

    Args:
        target: the integration.
        prepared: what would be sent.
        notes: for who reads the command; one may be added.

    Raises:
        NoFormError: see there.
    """
    settings = target.connection.settings
    if not settings.is_inline:
        raise NoFormError(
            "the message is made with the WSDL when it is sent, and nothing is read from its address for this;"
            " with the WSDL's own text in settings.wsdl there is one"
        )
    # zeep and lxml take 0.3 s and 25 MB to load, so only who uses SOAP does.
    from hub.integrations.transports.soap.calling import posted
    from hub.integrations.transports.soap.description import BadDescriptionError
    from hub.integrations.transports.soap.reading import of_text

    given = target.credentials
    masked = Credentials(given.mode, given.parameters, {"password": Secret(MASK)})
    try:
        made = posted(of_text(settings), target.connection, prepared.wire, masked)
    except (BadDescriptionError, ValueError) as error:
        raise NoFormError(str(error)) from None
    content, digests = _DIGEST.subn(rb"\1" + MASK.encode(), made.content)
    if settings.wsse and digests:
        notes.append(SIGNED)
    return made.address, made.headers, content
