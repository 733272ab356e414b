"""What a SOAP integration and its operations look like."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from hub.integrations.forms import AddedPath, Form
from hub.integrations.operation import OperationForm

#: Characters of a WSDL in a definition; the size of a definition is capped too.
MAX_INLINE = 1_048_576

_NAME = r"^[^\s<>&\"']{1,256}$"


class SoapSettings(Form):
    """Of an integration that speaks SOAP."""

    wsdl: str = Field(
        min_length=1,
        max_length=MAX_INLINE,
        description="The service's WSDL: its address (http or https), or the text itself, which then imports"
        " nothing. Of a text, operations and inputs are checked before anything leaves; of an address, when a call"
        " is made. A worker reads an address again after five minutes; when that fails, it goes on with what it has.",
    )
    service: str | None = Field(
        default=None,
        pattern=_NAME,
        description="Which of its services. Unset: the first one with a SOAP port.",
    )
    port: str | None = Field(
        default=None, pattern=_NAME, description="Which port of the service. Unset: the first that fits."
    )
    binding: str | None = Field(
        default=None, pattern=_NAME, description="A binding by its name, for a WSDL without services."
    )
    soap_version: Literal["1.1", "1.2"] | None = Field(
        default=None, description="Of the port. Unset: that of the port which was found first."
    )
    path: AddedPath = ""
    use_wsdl_address: bool = Field(
        default=False,
        description="Call the address that the WSDL names, with the credentials, in place of base_url. Only for a"
        " WSDL that nobody else can change.",
    )
    strict: bool = Field(
        default=True, description="False reads a WSDL that breaks the rules of XML as well as it can."
    )
    wsse: bool = Field(
        default=False,
        description="Send user name and password of the mode basic in a UsernameToken (WS-Security) of the message,"
        " and not in the HTTP header.",
    )
    wsse_password: Literal["text", "digest"] = "text"  # noqa: S105 - a way to send it

    @property
    def is_inline(self) -> bool:
        """The WSDL itself is here, not its address."""
        return self.wsdl.lstrip("\ufeff \t\r\n").startswith("<")

    @cached_property
    def digest(self) -> bytes:
        """Tells descriptions apart, in all that decides how they are read."""
        text = f"{self.strict}\0{self.wsdl}"
        return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


class SoapOperation(OperationForm):
    """One operation of the WSDL."""

    operation: str = Field(pattern=_NAME, description="Its name in the WSDL.")
    body: dict[str, Any] = Field(
        default={}, description="Arguments that are used where the input gives none."
    )
    headers: dict[str, Any] = Field(
        default={},
        description="SOAP headers, by the name of their part in the WSDL, or `{namespace}name` of an element; used"
        " where the input gives none.",
    )
