"""Genuine requests of each provider, signed here from the provider's page and not by the code under test.

Each signer takes the key and the time and gives the request; `VENDORS` says what our verdict on it must carry.
"""

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from nacl.signing import SigningKey

from hub.sources.verification import Received

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
URL = "https://hub.example.com/in/src_1?from=vendor"


def request(headers: dict[str, str], body: bytes, *, url: str = URL, method: str = "POST") -> Received:
    return Received(method=method, url=url, query=url.partition("?")[2], headers=headers, body=body)


def seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def _mac(key: str | bytes, message: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(key.encode() if isinstance(key, str) else key, message, algorithm).digest()


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@dataclass(frozen=True)
class Vendor:
    """A provider's genuine request and what our verdict on it carries.

    Args:
        spec: the description.
        sign: makes a request with a key at a time.
        key: what the provider signs with.
        secret: what the source stores; the key itself unless it is a public key or a printed form.
        wrong: another secret of the same form.
        tolerance: seconds, or None where no time is signed.
    """

    spec: dict[str, Any]
    sign: Callable[[str, datetime], Received]
    key: str
    secret: str
    wrong: str
    event_id: str | None
    event_type: str | None
    tolerance: int | None
    certificates: Callable[[str], bytes | None] | None = field(default=None)


def _standard(names: str) -> Callable[[str, datetime], Received]:
    def sign(key: str, now: datetime) -> Received:
        body = _json({"type": "invoice.paid", "data": {}})
        message = f"msg_1.{seconds(now)}.".encode() + body
        signature = _b64(_mac(base64.b64decode(key.removeprefix("whsec_")), message))
        headers = {
            f"{names}id": "msg_1",
            f"{names}timestamp": seconds(now),
            f"{names}signature": f"v1,{signature}",
        }
        return request(headers, body)

    return sign


def _standard_asymmetric(key: str, now: datetime) -> Received:
    body = _json({"type": "invoice.paid", "data": {}})
    message = f"msg_1.{seconds(now)}.".encode() + body
    signature = _b64(SigningKey(bytes.fromhex(key)).sign(message).signature)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": seconds(now),
        "webhook-signature": f"v1a,{signature}",
    }
    return request(headers, body)


def _stripe_like(header: str, body: bytes) -> Callable[[str, datetime], Received]:
    def sign(key: str, now: datetime) -> Received:
        signature = _mac(key, f"{seconds(now)}.".encode() + body).hex()
        return request({header: f"t={seconds(now)},v1={signature}"}, body)

    return sign


def _v0(signature_header: str, timestamp_header: str, body: bytes) -> Callable[[str, datetime], Received]:
    def sign(key: str, now: datetime) -> Received:
        signature = _mac(key, f"v0:{seconds(now)}:".encode() + body).hex()
        return request({signature_header: f"v0={signature}", timestamp_header: seconds(now)}, body)

    return sign


def _body_only(
    header: str,
    body: bytes,
    written: Callable[[bytes], str],
    *,
    algorithm: str = "sha256",
    **headers: str,
) -> Callable[[str, datetime], Received]:
    more = {name.replace("_", "-"): value for name, value in headers.items()}

    def sign(key: str, now: datetime) -> Received:
        return request({header: written(_mac(key, body, algorithm)), **more}, body)

    return sign


def _linear(key: str, now: datetime) -> Received:
    body = _json({"action": "create", "type": "Issue", "webhookTimestamp": int(now.timestamp() * 1000)})
    headers = {"linear-signature": _mac(key, body).hex(), "linear-delivery": "d-1", "linear-event": "Issue"}
    return request(headers, body)


def _twilio(key: str, now: datetime) -> Received:
    fields = {"To": "+18005551212", "Digits": "12 34", "From": "+14158675310"}
    message = URL + "".join(name + fields[name] for name in sorted(fields))
    headers = {
        "x-twilio-signature": _b64(_mac(key, message.encode(), "sha1")),
        "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
        "i-twilio-idempotency-token": "tok-1",
    }
    return request(headers, urlencode(fields).encode())


@cache
def _p256(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(name.encode()).digest()[:31]), ec.SECP256R1())


def p256_public(name: str) -> str:
    public = _p256(name).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _b64(der)


def _sendgrid(key: str, now: datetime) -> Received:
    body = _json([{"event": "delivered", "sg_event_id": "e1"}, {"event": "open", "sg_event_id": "e2"}])
    signature = _p256(key).sign(seconds(now).encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        "x-twilio-email-event-webhook-signature": _b64(signature),
        "x-twilio-email-event-webhook-timestamp": seconds(now),
    }
    return request(headers, body)


def _mailgun(key: str, now: datetime) -> Received:
    token = "ab12" * 12 + "cd"
    signature = _mac(key, (seconds(now) + token).encode()).hex()
    parts = {"timestamp": seconds(now), "token": token, "signature": signature}
    return request(
        {"content-type": "application/json"}, _json({"signature": parts, "event-data": {"event": "opened"}})
    )


@cache
def paypal_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def paypal_certificate(
    common_name: str = "messageverificationcerts.paypal.com", valid_from: datetime = NOW - timedelta(days=30)
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder(name, name, paypal_key().public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(valid_from).not_valid_after(valid_from + timedelta(days=365))
    certificate = builder.sign(paypal_key(), hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM)


CERTIFICATE_URL = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270"


def _paypal(key: str, now: datetime) -> Received:
    body = _json({"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED"})
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    message = f"tr-1|{time}|{key}|{zlib.crc32(body)}".encode()
    headers = {
        "paypal-transmission-id": "tr-1",
        "paypal-transmission-time": time,
        "paypal-transmission-sig": _b64(paypal_key().sign(message, padding.PKCS1v15(), hashes.SHA256())),
        "paypal-cert-url": CERTIFICATE_URL,
        "paypal-auth-algo": "SHA256withRSA",
    }
    return request(headers, body)


def _square(key: str, now: datetime) -> Received:
    body = _json({"event_id": "sq-1", "type": "payment.updated"})
    return request({"x-square-hmacsha256-signature": _b64(_mac(key, URL.encode() + body))}, body)


def _discord(key: str, now: datetime) -> Received:
    body = _json({"id": "77", "type": 1, "event": {"type": "APPLICATION_AUTHORIZED"}})
    signature = SigningKey(bytes.fromhex(key)).sign(seconds(now).encode() + body).signature.hex()
    return request({"x-signature-ed25519": signature, "x-signature-timestamp": seconds(now)}, body)


def ed25519_public(key: str) -> bytes:
    return bytes(SigningKey(bytes.fromhex(key)).verify_key)


def _hubspot(key: str, now: datetime) -> Received:
    body = _json([{"eventId": 1, "subscriptionType": "contact.creation"}])
    written = str(int(now.timestamp() * 1000))
    message = b"POST" + URL.encode() + body + written.encode()
    headers = {"x-hubspot-signature-v3": _b64(_mac(key, message)), "x-hubspot-request-timestamp": written}
    return request(headers, body)


def _hubspot_old(version: str) -> Callable[[str, datetime], Received]:
    def sign(key: str, now: datetime) -> Received:
        body = _json([{"eventId": 1, "subscriptionType": "contact.creation"}])
        message = key.encode() + (b"POST" + URL.encode() if version == "v2" else b"") + body
        digest = hashlib.sha256(message).hexdigest()
        return request({"x-hubspot-signature": digest, "x-hubspot-signature-version": version}, body)

    return sign


def _zendesk(key: str, now: datetime) -> Received:
    body, time = (
        _json({"id": "z1", "type": "zen:event-type:user.created"}),
        now.isoformat().replace("+00:00", "Z"),
    )
    headers = {
        "x-zendesk-webhook-signature": _b64(_mac(key, time.encode() + body)),
        "x-zendesk-webhook-signature-timestamp": time,
        "x-zendesk-webhook-invocation-id": "inv-1",
    }
    return request(headers, body)


def _box(key: str, now: datetime) -> Received:
    body, time = _json({"id": "bx-1", "trigger": "FILE.UPLOADED"}), now.isoformat()
    headers = {
        "box-signature-primary": _b64(_mac("the other key", body + time.encode())),
        "box-signature-secondary": _b64(_mac(key, body + time.encode())),
        "box-delivery-timestamp": time,
        "box-signature-version": "1",
        "box-signature-algorithm": "HmacSHA256",
    }
    return request(headers, body)


def _docusign(key: str, now: datetime) -> Received:
    body = _json({"event": "envelope-completed"})
    first, second = _b64(_mac("the other key", body)), _b64(_mac(key, body))
    return request({"x-docusign-signature-1": first, "x-docusign-signature-2": second}, body)


def _gitlab_token(key: str, now: datetime) -> Received:
    headers = {"x-gitlab-token": key, "idempotency-key": "gl-1"}
    return request(headers, _json({"object_kind": "merge_request"}))


def _gitlab_signed(key: str, now: datetime) -> Received:
    body = _json({"object_kind": "push"})
    signature = _b64(
        _mac(base64.b64decode(key.removeprefix("whsec_")), f"gl-2.{seconds(now)}.".encode() + body)
    )
    headers = {
        "webhook-id": "gl-2",
        "webhook-timestamp": seconds(now),
        "webhook-signature": f"v1,{signature}",
    }
    return request(headers, body)


def _graph(key: str, now: datetime) -> Received:
    return request(
        {}, _json({"value": [{"clientState": key, "changeType": "updated"}, {"clientState": key}]})
    )


def _basic(key: str, now: datetime) -> Received:
    return request({"authorization": "Basic " + _b64(key.encode())}, b"{}")


def _bearer(key: str, now: datetime) -> Received:
    return request({"authorization": f"bearer {key}", "x-id": "t-1"}, b"{}")


def _query_token(key: str, now: datetime) -> Received:
    return request({}, b"{}", url=f"https://hub.example.com/in/src_1?{urlencode({'a': 1, 'key': key})}")


def _custom(key: str, now: datetime) -> Received:
    body, time = _json({"meta": {"id": 42}, "kind": "thing/made"}), str(int(now.timestamp() * 1000))
    signature = _mac(bytes.fromhex(key), f"{time}/".encode() + body, "sha512")
    return request({"x-acme": f"sig:{_b64(signature)}", "x-acme-time": time}, body)


CUSTOM = {
    "profile": "custom",
    "header": "X-Acme",
    "algorithm": "sha512",
    "encoding": "base64",
    "template": "{timestamp}/{body}",
    "timestamp_header": "X-Acme-Time",
    "timestamp_format": "milliseconds",
    "tolerance_seconds": 120,
    "prefix": "sig:",
    "secret_encoding": "hex",
    "id_path": "meta.id",
    "type_path": "kind",
}

_WHSEC, _WRONG_WHSEC = "whsec_" + _b64(b"k" * 32), "whsec_" + _b64(b"w" * 32)
_SEED, _WRONG_SEED = "11" * 32, "22" * 32


def _vendor(
    spec: str | dict[str, Any],
    sign: Callable[[str, datetime], Received],
    event_id: str | None,
    event_type: str | None,
    tolerance: int | None = None,
    *,
    key: str = "vendor secret",
    secret: str | None = None,
    wrong: str = "another secret",
    certificates: Callable[[str], bytes | None] | None = None,
) -> Vendor:
    spec = {"profile": spec} if isinstance(spec, str) else spec
    return Vendor(spec, sign, key, secret or key, wrong, event_id, event_type, tolerance, certificates)


def _hex(raw: bytes) -> str:
    return raw.hex()


_EVENT = _json({"id": "evt_1", "type": "invoice.paid"})
VENDORS: dict[str, Vendor] = {
    "standard_webhooks": _vendor(
        "standard_webhooks",
        _standard("webhook-"),
        "msg_1",
        "invoice.paid",
        300,
        key=_WHSEC,
        wrong=_WRONG_WHSEC,
    ),
    "standard_webhooks v1a": _vendor(
        "standard_webhooks",
        _standard_asymmetric,
        "msg_1",
        "invoice.paid",
        300,
        key=_SEED,
        secret="whpk_" + _b64(ed25519_public(_SEED)),
        wrong="whpk_" + _b64(ed25519_public(_WRONG_SEED)),
    ),
    "svix": _vendor("svix", _standard("svix-"), "msg_1", "invoice.paid", 300, key=_WHSEC, wrong=_WRONG_WHSEC),
    "stripe": _vendor("stripe", _stripe_like("stripe-signature", _EVENT), "evt_1", "invoice.paid", 300),
    "github": _vendor(
        "github",
        _body_only(
            "x-hub-signature-256",
            _json({"action": "opened"}),
            lambda raw: f"sha256={raw.hex()}",
            x_github_delivery="gh-1",
            x_github_event="issues",
        ),
        "gh-1",
        "issues.opened",
    ),
    "gitlab token": _vendor("gitlab", _gitlab_token, "gl-1", "merge_request"),
    "gitlab signing token": _vendor(
        "gitlab", _gitlab_signed, "gl-2", "push", 300, key=_WHSEC, wrong=_WRONG_WHSEC
    ),
    "slack": _vendor(
        "slack",
        _v0(
            "x-slack-signature",
            "x-slack-request-timestamp",
            _json({"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention"}}),
        ),
        "Ev1",
        "app_mention",
        300,
    ),
    "shopify": _vendor(
        "shopify",
        _body_only(
            "x-shopify-hmac-sha256",
            b'{"id":1}',
            _b64,
            x_shopify_webhook_id="sh-1",
            x_shopify_topic="orders/create",
        ),
        "sh-1",
        "orders.create",
    ),
    "twilio": _vendor("twilio", _twilio, "tok-1", None),
    "sendgrid": _vendor(
        "sendgrid",
        _sendgrid,
        None,
        "delivered",
        86_400,
        secret=p256_public("vendor secret"),
        wrong=p256_public("other"),
    ),
    "mailgun": _vendor("mailgun", _mailgun, "ab12" * 12 + "cd", "opened", 43_200),
    "paypal": _vendor(
        "paypal",
        _paypal,
        "WH-1",
        "PAYMENT.CAPTURE.COMPLETED",
        345_600,
        key="8PT597110X687430LKGECATA",
        certificates=lambda url: paypal_certificate() if url == CERTIFICATE_URL else None,
    ),
    "square": _vendor("square", _square, "sq-1", "payment.updated"),
    "zoom": _vendor(
        "zoom",
        _v0("x-zm-signature", "x-zm-request-timestamp", _json({"event": "meeting.started"})),
        None,
        "meeting.started",
        300,
    ),
    "discord": _vendor(
        "discord",
        _discord,
        "77",
        "APPLICATION_AUTHORIZED",
        300,
        key=_SEED,
        secret=ed25519_public(_SEED).hex(),
        wrong=ed25519_public(_WRONG_SEED).hex(),
    ),
    "meta": _vendor(
        "meta",
        _body_only("x-hub-signature-256", b'{"object":"page","entry":[]}', lambda raw: f"sha256={raw.hex()}"),
        None,
        "page",
    ),
    "x": _vendor(
        "x",
        _body_only("x-twitter-webhooks-signature", b'{"for_user_id":"1"}', lambda raw: f"sha256={_b64(raw)}"),
        None,
        None,
    ),
    "linear": _vendor("linear", _linear, "d-1", "Issue.create", 60),
    "intercom": _vendor(
        "intercom",
        _body_only(
            "x-hub-signature",
            b'{"id":"notif_1","topic":"conversation.user.created"}',
            lambda raw: f"sha1={raw.hex()}",
            algorithm="sha1",
        ),
        "notif_1",
        "conversation.user.created",
    ),
    "hubspot": _vendor("hubspot", _hubspot, None, "contact.creation", 300),
    "hubspot v1": _vendor(
        {"profile": "hubspot", "version": "v1"}, _hubspot_old("v1"), None, "contact.creation"
    ),
    "hubspot v2": _vendor(
        {"profile": "hubspot", "version": "v2"}, _hubspot_old("v2"), None, "contact.creation"
    ),
    "zendesk": _vendor("zendesk", _zendesk, "inv-1", "zen.event-type.user.created", 300),
    "docusign": _vendor("docusign", _docusign, None, "envelope-completed"),
    "dropbox": _vendor("dropbox", _body_only("x-dropbox-signature", b'{"list_folder":{}}', _hex), None, None),
    "box": _vendor("box", _box, "bx-1", "FILE.UPLOADED", 600),
    "notion": _vendor(
        "notion",
        _body_only(
            "x-notion-signature", b'{"id":"n-1","type":"page.created"}', lambda raw: f"sha256={raw.hex()}"
        ),
        "n-1",
        "page.created",
        key="secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl",
    ),
    "typeform": _vendor(
        "typeform",
        _body_only(
            "typeform-signature",
            b'{"event_id":"tf-1","event_type":"form_response"}',
            lambda raw: f"sha256={_b64(raw)}",
        ),
        "tf-1",
        "form_response",
    ),
    "calendly": _vendor(
        "calendly",
        _stripe_like("calendly-webhook-signature", b'{"event":"invitee.created"}'),
        None,
        "invitee.created",
        180,
    ),
    "woocommerce": _vendor(
        "woocommerce",
        _body_only(
            "x-wc-webhook-signature",
            b'{"id":7}',
            _b64,
            x_wc_webhook_delivery_id="wc-1",
            x_wc_webhook_topic="order.created",
        ),
        "wc-1",
        "order.created",
    ),
    "microsoft_graph": _vendor("microsoft_graph", _graph, None, "updated"),
    "basic": _vendor("basic", _basic, None, None, key="user:pass:word"),
    "token in a header": _vendor(
        {"profile": "token", "header": "Authorization", "prefix": "Bearer ", "id_header": "X-Id"},
        _bearer,
        "t-1",
        None,
    ),
    "token in the query": _vendor(
        {"profile": "token", "query": "key"}, _query_token, None, None, key="s3 cr+t"
    ),
    "custom": _vendor(CUSTOM, _custom, "42", "thing.made", 120, key=_SEED, wrong=_WRONG_SEED),
}
