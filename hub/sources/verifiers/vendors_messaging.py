"""Providers of messages, mail, calls, support and social networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from hub.sources import handshakes
from hub.sources.verifiers.custom import read_extraction
from hub.sources.verifiers.keys import ecdsa_p256_key, ed25519_key, secret_first_sha256
from hub.sources.verifiers.mailgun import MailgunCheck
from hub.sources.verifiers.payload import Extraction
from hub.sources.verifiers.profiles import PLACES, Profile, adjusted, hmac_scheme, vendor
from hub.sources.verifiers.scheme import Scheme, Signed
from hub.sources.verifiers.template import Template
from hub.sources.verifiers.timestamps import Timestamp
from hub.sources.verifiers.twilio import TwilioCheck

if TYPE_CHECKING:
    from hub.sources.handshakes import Handshake
    from hub.sources.verifiers.contract import Check
    from hub.sources.verifiers.options import Options

#: Both repeat for hours (SendGrid 24, Mailgun 8), and their pages do not say that a repeat is signed anew.
_SENDGRID_TOLERANCE = 86_400
_MAILGUN_TOLERANCE = 12 * 3_600

_HUBSPOT_DECODED = {f"%{ord(char):02X}": char for char in ":/?@!$'()*,;"}


def hubspot_url_forms(url: str) -> tuple[str, ...]:
    """The URL as it was called, and with the escapes undone that HubSpot undoes before it signs."""
    decoded = url
    for escape, char in _HUBSPOT_DECODED.items():
        decoded = decoded.replace(escape, char).replace(escape.lower(), char)
    return (url,) if decoded == url else (url, decoded)


_HUBSPOT = Extraction(type_paths=("0.subscriptionType", "subscriptionType"))
_HUBSPOT_V3 = replace(
    hmac_scheme(
        "x-hubspot-signature-v3",
        _HUBSPOT,
        template="{method}{url}{body}{timestamp}",
        encoding="base64",
        timestamp=Timestamp(header="x-hubspot-request-timestamp", format="milliseconds"),
    ),
    url_forms=hubspot_url_forms,
)
_HubSpotVersion = Literal["v1", "v2", "v3"]


def _hubspot(options: Options) -> Check:
    version: _HubSpotVersion = options.choice("version", _HubSpotVersion, "v3")
    if version == "v3":
        return adjusted(_HUBSPOT_V3, options)
    scheme = Scheme(
        headers=("x-hubspot-signature",),
        signed=(Signed(secret_first_sha256),),
        encoding="hex",
        template=Template.parse("{body}" if version == "v1" else "{method}{url}{body}"),
        fixed=(("x-hubspot-signature-version", version),),
        extraction=_HUBSPOT,
    )
    return adjusted(scheme, options)


def _twilio(options: Options) -> Check:
    return TwilioCheck(
        extraction=read_extraction(options, Extraction(id_headers=("i-twilio-idempotency-token",)))
    )


def _mailgun(options: Options) -> Check:
    return MailgunCheck(tolerance=options.tolerance(_MAILGUN_TOLERANCE))


_META = hmac_scheme("x-hub-signature-256", Extraction(type_paths=("object",)), prefix="sha256=")


def _meta(options: Options) -> Check:
    options.text("verify_token")
    return adjusted(_META, options)


def _greet_meta(options: Options) -> Handshake:
    return handshakes.meta(options.text("verify_token"))


MESSAGING = {
    "slack": vendor(
        hmac_scheme(
            "x-slack-signature",
            Extraction(id_paths=("event_id",), type_paths=("event.type", "type")),
            template="v0:{timestamp}:{body}",
            prefix="v0=",
            timestamp=Timestamp(header="x-slack-request-timestamp"),
        ),
        title="Slack",
        docs="https://docs.slack.dev/authentication/verifying-requests-from-slack",
        credential="signing secret",
        credential_help="api.slack.com/apps: the app, Basic information, App credentials.",
        handshake=handshakes.slack,
        handshakes=("url_verification",),
    ),
    "twilio": Profile(
        title="Twilio",
        docs="https://www.twilio.com/docs/usage/webhooks/webhooks-security",
        credential="auth token",
        credential_help="Twilio console: Account info, Auth token; or the shared key that signs webhooks.",
        build=_twilio,
        options=PLACES,
        needs_url=True,
        note="The URL with its query is signed, and no time.",
    ),
    "sendgrid": vendor(
        Scheme(
            headers=("x-twilio-email-event-webhook-signature",),
            signed=(Signed(ecdsa_p256_key),),
            encoding="base64",
            template=Template.parse("{timestamp}{body}"),
            timestamp=Timestamp(
                header="x-twilio-email-event-webhook-timestamp", tolerance=_SENDGRID_TOLERANCE
            ),
            extraction=Extraction(type_paths=("0.event",)),
        ),
        title="SendGrid",
        docs="https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features",
        credential="verification key (a public key)",
        credential_help="SendGrid: Settings, Mail settings, Event webhooks, Signature verification.",
        note="One request carries a list of events; the type is that of the first, and there is no id of the whole.",
    ),
    "mailgun": Profile(
        title="Mailgun",
        docs="https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks",
        credential="HTTP webhook signing key",
        credential_help="Mailgun: Send, Webhooks, HTTP webhook signing key.",
        build=_mailgun,
        options=("tolerance_seconds",),
        note="The signature covers a time and a token, not the event; each token is taken once. "
        "Routes that send multipart forms (mails with attachments) are not read.",
    ),
    "zoom": vendor(
        hmac_scheme(
            "x-zm-signature",
            Extraction(type_paths=("event",)),
            template="v0:{timestamp}:{body}",
            prefix="v0=",
            timestamp=Timestamp(header="x-zm-request-timestamp"),
        ),
        title="Zoom",
        docs="https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events",
        credential="secret token",
        credential_help="Zoom App Marketplace: the app, Features, Access, Secret token.",
        handshake=handshakes.zoom,
        handshakes=("endpoint.url_validation",),
    ),
    "discord": vendor(
        Scheme(
            headers=("x-signature-ed25519",),
            signed=(Signed(ed25519_key("hex")),),
            encoding="hex",
            template=Template.parse("{timestamp}{body}"),
            timestamp=Timestamp(header="x-signature-timestamp"),
            extraction=Extraction(id_paths=("id",), type_paths=("event.type",)),
        ),
        title="Discord",
        docs="https://discord.com/developers/docs/events/webhook-events#validating-security-request-headers",
        credential="public key of the application",
        credential_help="Discord developer portal: the application, General information, Public key.",
        handshake=handshakes.discord,
        handshakes=("ping",),
        note="Webhook events and the ping of interactions; an interaction itself wants an answer of its own.",
    ),
    "meta": Profile(
        title="Meta (Facebook, Instagram, WhatsApp)",
        docs="https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
        credential="app secret",
        credential_help="App dashboard: App settings, Basic, App secret.",
        build=_meta,
        greet=_greet_meta,
        handshakes=("hub.challenge",),
        options=("verify_token", *PLACES),
        note="`verify_token` is what you enter beside the URL in the dashboard; without it no URL is confirmed.",
    ),
    "x": vendor(
        replace(
            hmac_scheme("x-twitter-webhooks-signature", Extraction(), encoding="base64", prefix="sha256="),
            json_object=True,
        ),
        title="X",
        docs="https://docs.x.com/x-api/webhooks/introduction",
        credential="API secret key (consumer secret)",
        credential_help="X developer console: the app, Keys and tokens, API key and secret.",
        handshake=handshakes.x,
        handshakes=("crc",),
    ),
    "intercom": vendor(
        hmac_scheme(
            "x-hub-signature",
            Extraction(id_paths=("id",), type_paths=("topic",)),
            algorithm="sha1",
            prefix="sha1=",
        ),
        title="Intercom",
        docs="https://developers.intercom.com/docs/webhooks/setting-up-webhooks",
        credential="client secret of the app",
        credential_help="Developer hub: the app, Basic information, Client secret.",
    ),
    "hubspot": Profile(
        title="HubSpot",
        docs="https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests",
        credential="client secret of the app",
        credential_help="HubSpot: Development, the app, Auth, Client secret.",
        build=_hubspot,
        options=("version", "tolerance_seconds", *PLACES),
        needs_url=True,
        note="`version` is v3 unless you say v1 or v2, which sign no time and are no HMAC: only where v3 is absent.",
    ),
    "zendesk": vendor(
        hmac_scheme(
            "x-zendesk-webhook-signature",
            Extraction(id_headers=("x-zendesk-webhook-invocation-id",), type_paths=("type",)),
            template="{timestamp}{body}",
            encoding="base64",
            timestamp=Timestamp(header="x-zendesk-webhook-signature-timestamp", format="iso8601"),
        ),
        title="Zendesk",
        docs="https://developer.zendesk.com/documentation/webhooks/verifying/",
        credential="signing secret",
        credential_help="Zendesk admin center: Apps and integrations, Webhooks, the webhook, Reveal secret.",
    ),
}
