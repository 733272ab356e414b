"""The profiles that belong to no vendor: Standard Webhooks, its Svix spelling, and what is described by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.sources.verifiers.custom import read_custom, read_extraction
from hub.sources.verifiers.keys import ed25519_key, hmac_key, never
from hub.sources.verifiers.payload import Extraction
from hub.sources.verifiers.profiles import PLACES, Profile, vendor
from hub.sources.verifiers.scheme import Scheme, Signed
from hub.sources.verifiers.template import Template
from hub.sources.verifiers.timestamps import Timestamp
from hub.sources.verifiers.tokens import BasicCheck, NoCheck, TokenCheck

if TYPE_CHECKING:
    from hub.sources.verifiers.contract import Check
    from hub.sources.verifiers.options import Options

_PUBLIC_KEY = "whpk_"
_CUSTOM_OPTIONS = (
    "header",
    "algorithm",
    "encoding",
    "template",
    "prefix",
    "separator",
    "secret_encoding",
    "timestamp_header",
    "timestamp_prefix",
    "timestamp_path",
    "timestamp_format",
    "tolerance_seconds",
    *PLACES,
)


def standard_scheme(names: str, extraction: Extraction) -> Scheme:
    """Standard Webhooks 1.0.0: `v1` (HMAC-SHA256, secret `whsec_…`) and `v1a` (ed25519, public key `whpk_…`).

    Args:
        names: what the three headers begin with, `webhook-` or `svix-`.
        extraction: where the event's id and type are; the id's header is first.
    """
    return Scheme(
        headers=(f"{names}signature",),
        separator=" ",
        encoding="base64",
        signed=(
            Signed(never(_PUBLIC_KEY, hmac_key("sha256", encoding="base64", prefix="whsec_")), "v1,"),
            Signed(ed25519_key("base64", prefix=_PUBLIC_KEY), "v1a,"),
        ),
        template=Template.parse("{id}.{timestamp}.{body}"),
        timestamp=Timestamp(header=f"{names}timestamp"),
        extraction=extraction,
    )


def _token(options: Options) -> Check:
    header, parameter = options.header("header"), options.text("query")
    if (header is None) == (parameter is None):
        options.fail("header", "or `query` is needed, one of the two: where the token is")
    prefix = options.text("prefix") or ""
    return TokenCheck(header=header, parameter=parameter, prefix=prefix, extraction=read_extraction(options))


def _basic(options: Options) -> Check:
    return BasicCheck(extraction=read_extraction(options))


def _none(options: Options) -> Check:
    return NoCheck(extraction=read_extraction(options))


GENERIC = {
    "standard_webhooks": vendor(
        standard_scheme("webhook-", Extraction(id_headers=("webhook-id",), type_paths=("type",))),
        title="Standard Webhooks",
        docs="https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
        credential="signing secret `whsec_…`, or public key `whpk_…`",
        credential_help="The sender shows it where its webhook endpoints are set up.",
    ),
    "svix": vendor(
        standard_scheme("svix-", Extraction(id_headers=("svix-id",), type_paths=("type", "eventType"))),
        title="Svix",
        docs="https://docs.svix.com/receiving/verifying-payloads/how-manual",
        credential="signing secret `whsec_…`, or public key `whpk_…`",
        credential_help="The sender's portal: Endpoints, the endpoint, Signing secret.",
        note="For senders with headers `svix-…`; those with headers `webhook-…` are of the profile standard_webhooks.",
    ),
    "custom": Profile(
        title="HMAC signature of your description",
        docs="",
        credential="signing secret",
        credential_help="The sender's documentation says where it is.",
        build=read_custom,
        options=_CUSTOM_OPTIONS,
    ),
    "token": Profile(
        title="Token in a header or query parameter",
        docs="",
        credential="token",
        credential_help="A long random text that you make up and give to the sender.",
        build=_token,
        options=("header", "query", "prefix", *PLACES),
        note="A token does not cover the body and can be replayed; a query parameter also ends up in access logs.",
    ),
    "basic": Profile(
        title="HTTP basic authentication",
        docs="https://www.rfc-editor.org/rfc/rfc7617",
        credential="`user:password`",
        credential_help="A user and a long random password that you make up and give to the sender.",
        build=_basic,
        options=PLACES,
        note="It does not cover the body and can be replayed.",
    ),
    "none": Profile(
        title="No verification",
        docs="",
        credential="",
        credential_help="",
        build=_none,
        options=PLACES,
        needs_secret=False,
        note="Anybody who knows the URL can send events.",
    ),
}
