"""Providers of code, documents, files, forms and calendars."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hub.sources import handshakes
from hub.sources.verifiers.custom import read_extraction
from hub.sources.verifiers.generic import standard_scheme
from hub.sources.verifiers.keys import only
from hub.sources.verifiers.payload import Extraction
from hub.sources.verifiers.profiles import PLACES, Profile, adjusted, greeted, hmac_scheme, vendor
from hub.sources.verifiers.timestamps import Timestamp
from hub.sources.verifiers.tokens import ClientStateCheck, SignatureOrToken, TokenCheck

if TYPE_CHECKING:
    from hub.core.secret import Secret
    from hub.sources.verifiers.contract import Check
    from hub.sources.verifiers.options import Options

_SIGNING = "whsec_"
_GITLAB = Extraction(id_headers=("webhook-id", "idempotency-key"), type_paths=("object_kind", "event_name"))


def _is_token(secret: Secret) -> bool:
    return not secret.reveal().startswith(_SIGNING)


def _gitlab(options: Options) -> Check:
    standard = standard_scheme("webhook-", _GITLAB)
    hmac_way = standard.signed[0]
    signature = replace(standard, signed=(replace(hmac_way, load=only(_SIGNING, hmac_way.load)),))
    signature = adjusted(signature, options)
    token = TokenCheck(header="x-gitlab-token", extraction=signature.extraction, usable=_is_token)
    return SignatureOrToken(header="webhook-signature", signature=signature, token=token)


def _graph(options: Options) -> Check:
    return ClientStateCheck(
        extraction=read_extraction(options, Extraction(type_paths=("value.0.changeType",)))
    )


WORK = {
    "github": vendor(
        hmac_scheme(
            "x-hub-signature-256",
            Extraction(
                id_headers=("x-github-delivery",), type_headers=("x-github-event",), type_suffix_path="action"
            ),
            prefix="sha256=",
        ),
        title="GitHub",
        docs="https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
        credential="webhook secret",
        credential_help="The text that you enter as Secret at the repository's, organisation's or app's webhook.",
        note="The signature covers the body, not the headers with id and event, and no time.",
    ),
    "gitlab": Profile(
        title="GitLab",
        docs="https://docs.gitlab.com/user/project/integrations/webhooks/",
        credential="signing token `whsec_…`, or secret token",
        credential_help="What you enter as Signing token (or Secret token) at the project's or group's webhook.",
        build=_gitlab,
        options=(*PLACES, "tolerance_seconds"),
        note="A secret that begins with `whsec_` is a signing token; any other is the older secret token, "
        "which does not cover the body and can be replayed.",
    ),
    "linear": vendor(
        hmac_scheme(
            "linear-signature",
            Extraction(
                id_headers=("linear-delivery",), type_headers=("linear-event",), type_suffix_path="action"
            ),
            timestamp=Timestamp(path="webhookTimestamp", format="milliseconds", tolerance=60),
        ),
        title="Linear",
        docs="https://linear.app/developers/webhooks#securing-webhooks",
        credential="signing secret",
        credential_help="Linear: Settings, API, Webhooks, the webhook, Signing secret.",
    ),
    "notion": vendor(
        hmac_scheme(
            "x-notion-signature", Extraction(id_paths=("id",), type_paths=("type",)), prefix="sha256="
        ),
        title="Notion",
        docs="https://developers.notion.com/reference/webhooks",
        credential="verification token",
        credential_help="Notion posts it once when the subscription is made: read it in the request inspector, "
        "paste it into Notion, and store it as this source's secret once Notion has accepted it.",
        handshake=handshakes.notion,
        handshakes=("verification_token",),
    ),
    "box": vendor(
        replace(
            hmac_scheme(
                "box-signature-primary",
                Extraction(id_paths=("id",), type_paths=("trigger",)),
                template="{body}{timestamp}",
                encoding="base64",
                timestamp=Timestamp(header="box-delivery-timestamp", format="iso8601", tolerance=600),
            ),
            headers=("box-signature-primary", "box-signature-secondary"),
            fixed=(("box-signature-version", "1"), ("box-signature-algorithm", "HmacSHA256")),
        ),
        title="Box",
        docs="https://developer.box.com/guides/webhooks/v2/signatures-v2/",
        credential="primary or secondary signature key",
        credential_help="Box developer console: the app, Webhooks, Manage signature keys.",
    ),
    "dropbox": vendor(
        hmac_scheme("x-dropbox-signature", Extraction()),
        title="Dropbox",
        docs="https://www.dropbox.com/developers/reference/webhooks",
        credential="app secret",
        credential_help="Dropbox app console: the app, Settings, App secret.",
        handshake=handshakes.dropbox,
        handshakes=("challenge",),
        note="A notification names accounts that changed; it has neither id nor type nor time.",
    ),
    "docusign": vendor(
        replace(
            hmac_scheme("x-docusign-signature", Extraction(type_paths=("event",)), encoding="base64"),
            numbered=True,
        ),
        title="DocuSign Connect",
        docs="https://developers.docusign.com/platform/webhooks/connect/hmac/",
        credential="HMAC key of Connect",
        credential_help="DocuSign eSignature settings: Connect, Connect keys.",
    ),
    "typeform": vendor(
        hmac_scheme(
            "typeform-signature",
            Extraction(id_paths=("event_id",), type_paths=("event_type",)),
            encoding="base64",
            prefix="sha256=",
        ),
        title="Typeform",
        docs="https://www.typeform.com/developers/webhooks/secure-your-webhooks/",
        credential="webhook secret",
        credential_help="The text that you enter as Secret at the form's webhook.",
    ),
    "calendly": vendor(
        hmac_scheme(
            "calendly-webhook-signature",
            Extraction(type_paths=("event",)),
            template="{timestamp}.{body}",
            prefix="v1=",
            separator=",",
            timestamp=Timestamp(item="t=", tolerance=180),
        ),
        title="Calendly",
        docs="https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures",
        credential="signing key",
        credential_help="The `signing_key` that you gave when you made the webhook subscription.",
    ),
    "microsoft_graph": Profile(
        title="Microsoft Graph change notifications",
        docs="https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks",
        credential="clientState",
        credential_help="The `clientState` that you gave when you made the subscription.",
        build=_graph,
        greet=greeted(handshakes.microsoft_graph),
        handshakes=("validationToken",),
        options=PLACES,
        note="clientState is a token: it does not cover the rest of the body and can be replayed.",
    ),
}
