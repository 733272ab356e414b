"""Providers of payments and shops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.sources import handshakes
from hub.sources.verifiers.custom import read_extraction
from hub.sources.verifiers.payload import Extraction
from hub.sources.verifiers.paypal import PayPalCheck
from hub.sources.verifiers.profiles import PLACES, Profile, hmac_scheme, vendor
from hub.sources.verifiers.timestamps import Timestamp

if TYPE_CHECKING:
    from hub.sources.verifiers.contract import Check
    from hub.sources.verifiers.options import Options

#: PayPal repeats for three days, and its page does not say that a repeat is signed anew.
_PAYPAL_TOLERANCE = 4 * 86_400


def _paypal(options: Options) -> Check:
    return PayPalCheck(
        extraction=read_extraction(options, Extraction(id_paths=("id",), type_paths=("event_type",))),
        tolerance=options.tolerance(_PAYPAL_TOLERANCE),
        certificates=options.certificates,
    )


COMMERCE = {
    "stripe": vendor(
        hmac_scheme(
            "stripe-signature",
            Extraction(id_paths=("id",), type_paths=("type",)),
            template="{timestamp}.{body}",
            prefix="v1=",
            separator=",",
            timestamp=Timestamp(item="t="),
        ),
        title="Stripe",
        docs="https://docs.stripe.com/webhooks/signature",
        credential="signing secret `whsec_…`",
        credential_help="Stripe workbench: Webhooks, the destination, Signing secret.",
    ),
    "shopify": vendor(
        hmac_scheme(
            "x-shopify-hmac-sha256",
            Extraction(id_headers=("x-shopify-webhook-id",), type_headers=("x-shopify-topic",)),
            encoding="base64",
        ),
        title="Shopify",
        docs="https://shopify.dev/docs/apps/build/webhooks/subscribe/https",
        credential="client secret of the app",
        credential_help="Dev dashboard: the app, Settings. Webhooks made in the admin show theirs under Notifications.",
        note="The signature covers the body, not the headers with id and topic, and no time.",
    ),
    "square": vendor(
        hmac_scheme(
            "x-square-hmacsha256-signature",
            Extraction(id_paths=("event_id",), type_paths=("type",)),
            template="{url}{body}",
            encoding="base64",
        ),
        title="Square",
        docs="https://developer.squareup.com/docs/webhooks/step3validate",
        credential="signature key",
        credential_help="Developer console: the application, Webhooks, Subscriptions, the subscription.",
        note="The URL is signed: it must be the one entered at Square, letter by letter.",
    ),
    "woocommerce": vendor(
        hmac_scheme(
            "x-wc-webhook-signature",
            Extraction(id_headers=("x-wc-webhook-delivery-id",), type_headers=("x-wc-webhook-topic",)),
            encoding="base64",
        ),
        title="WooCommerce",
        docs="https://woocommerce.com/document/webhooks/",
        credential="secret of the webhook",
        credential_help="WooCommerce: Settings, Advanced, Webhooks, the webhook, Secret.",
        handshake=handshakes.woocommerce,
        handshakes=("ping",),
        note="The signature covers the body, not the headers with id and topic, and no time.",
    ),
    "paypal": Profile(
        title="PayPal",
        docs="https://developer.paypal.com/api/rest/webhooks/rest/#link-verifymessagesignature",
        credential="webhook id",
        credential_help="Developer dashboard: the app, Webhooks, the id beside the URL.",
        build=_paypal,
        options=(*PLACES, "tolerance_seconds"),
        needs_certificates=True,
        note="The signature covers only a CRC-32 of the body; keep `tolerance_seconds` and de-duplication in place.",
    ),
}
