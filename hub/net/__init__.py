"""The only way out of the hub: address policy, guarded session for integrations, multi sender for webhooks.

Both senders obey one `AddressPolicy`, one header policy, one rule for deadlines and size caps, and give one
`Outcome`. Nothing else in the hub opens a connection to the outside.
"""

from hub.net.client_certificate import ClientCertificate
from hub.net.headers import check_headers
from hub.net.multi import MultiSender
from hub.net.outcome import (
    NEVER_SENT,
    ErrorClass,
    Outcome,
    Timings,
    classify_status,
    retry_after_seconds,
)
from hub.net.policy import AddressPolicy, EgressRefused
from hub.net.session import GuardedSession
from hub.net.token import TokenSource
from hub.net.token_endpoint import TokenFault, TokenRequest
from hub.net.transfer import Call

__all__ = [
    "NEVER_SENT",
    "AddressPolicy",
    "Call",
    "ClientCertificate",
    "EgressRefused",
    "ErrorClass",
    "GuardedSession",
    "MultiSender",
    "Outcome",
    "Timings",
    "TokenFault",
    "TokenRequest",
    "TokenSource",
    "check_headers",
    "classify_status",
    "retry_after_seconds",
]
