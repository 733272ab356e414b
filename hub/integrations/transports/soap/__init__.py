"""SOAP: calls that a WSDL describes, over the guarded session. Needs the extra `soap` (zeep and lxml).

`forms` says what an integration and its operations look like. A description is read in two steps: `bundle` brings the
WSDL and what it imports together (`markup` parses, `weight` refuses what would grow without measure), and `description`
has zeep read the bundle, without any way out of it. `arguments` makes JSON into what zeep sends, `results` makes an
answer into JSON, `faults` says what a SOAP fault means; `transport` prepares and sends.
"""

from __future__ import annotations

from hub.integrations.transports.soap.transport import SoapTransport

__all__ = ["SoapTransport"]
