"""Extra signatures on the same request, in the form of other senders, for receivers that migrate. Data, and pure.

A profile adds headers beside the `webhook-*` ones, so that a receiver can keep the library that it verifies with today:

    type     headers                                            signed                over the secret's
    stripe   Stripe-Signature: t=…,v1=<hex>[,v1=<hex>]          timestamp.body        text
    github   X-Hub-Signature-256: sha256=<hex>                  body                  text
    slack    X-Slack-Signature: v0=<hex>,                       v0:timestamp:body     text
             X-Slack-Request-Timestamp
    shopify  X-Shopify-Hmac-SHA256: <base64>                    body                  text
    svix     svix-id, svix-timestamp, svix-signature            id.timestamp.body     decoded bytes
    hmac     X-Webhook-Signature, or any name: <hex|base64>     body                  text, or decoded bytes

Text is the UTF-8 of the printed secret, `whsec_` included: the libraries of Stripe, GitHub, Slack and Shopify do not
decode what they are given. A receiver puts the endpoint's whole `whsec_…` where its old secret was. During a rotation
Stripe's and Svix's form carry one signature for each key; the others have room for one, which is the current key's.

Sources: docs.stripe.com/webhooks/signature, docs.github.com "Validating webhook deliveries",
docs.slack.dev/authentication/verifying-requests-from-slack, shopify.dev "Verify webhook deliveries",
docs.svix.com/receiving/verifying-payloads/how-manual.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from hub.core.errors import FieldError, Invalid
from hub.core.headers import is_refused, is_token
from hub.webhooks.signing import decode_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.core.secret import Secret

MAX_PROFILES = 8
MAX_NAME_CHARACTERS = 100
MAX_PREFIX_CHARACTERS = 64

_PREFIX = re.compile(r"[\x21-\x7e][\x20-\x7e]*")
_REFUSED_NAMES = frozenset({"authorization", "cookie", "user-agent"})


class Key(NamedTuple):
    """A signing key in both forms; never shown.

    Args:
        raw: the decoded bytes of the secret.
        text: the UTF-8 of the secret as it is printed.
    """

    raw: bytes
    text: bytes

    @classmethod
    def of(cls, secret: Secret) -> Key:
        """Both forms of a printed `whsec_…`.

        Raises:
            Invalid: it is none.
        """
        return cls(decode_secret(secret), secret.reveal().encode())

    def __repr__(self) -> str:
        return "Key(***)"


@dataclass(frozen=True, slots=True)
class Profile:
    """One form of signature.

    Args:
        type: its name in the specification of an endpoint.
        header: the header that carries it.
        signed: what is signed before the body; `{id}` and `{timestamp}` are filled in.
        algorithm: of the HMAC, as `hashlib` calls it.
        encoding: `hex` or `base64`.
        prefix: what stands before each signature.
        decoded: sign with the decoded bytes of the secret, not with its text.
        lead: the first item of the header, before the signatures.
        separator: between the items; None where a receiver reads one signature only.
        companions: further headers, name and value.
    """

    type: str
    header: str
    signed: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    decoded: bool = False
    lead: str = ""
    separator: str | None = None
    companions: tuple[tuple[str, str], ...] = ()

    @property
    def header_names(self) -> tuple[str, ...]:
        """The headers that it sets."""
        return (*(name for name, _ in self.companions), self.header)

    def headers(
        self, keys: Sequence[Key], webhook_id: str, timestamp: int, body: bytes
    ) -> list[tuple[str, str]]:
        """The headers of one request, name and value.

        Args:
            keys: the endpoint's keys, the current one first; at least one.
            webhook_id: the value of `webhook-id`.
            timestamp: the value of `webhook-timestamp`, Unix seconds.
            body: the exact bytes that are sent.
        """
        message = self.signed.format(id=webhook_id, timestamp=timestamp).encode() + body
        used = keys[:1] if self.separator is None else keys
        items = [self.prefix + self._signature(key, message) for key in used]
        if self.lead:
            items.insert(0, self.lead.format(timestamp=timestamp))
        made = [(name, value.format(id=webhook_id, timestamp=timestamp)) for name, value in self.companions]
        return [*made, (self.header, (self.separator or "").join(items))]

    def _signature(self, key: Key, message: bytes) -> str:
        digest = hmac.digest(key.raw if self.decoded else key.text, message, self.algorithm)
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()


_BUILT_IN = {
    profile.type: profile
    for profile in (
        Profile(
            "stripe", "Stripe-Signature", "{timestamp}.", prefix="v1=", lead="t={timestamp}", separator=","
        ),
        Profile("github", "X-Hub-Signature-256", prefix="sha256="),
        Profile(
            "slack",
            "X-Slack-Signature",
            "v0:{timestamp}:",
            prefix="v0=",
            companions=(("X-Slack-Request-Timestamp", "{timestamp}"),),
        ),
        Profile("shopify", "X-Shopify-Hmac-SHA256", encoding="base64"),
        Profile(
            "svix",
            "svix-signature",
            "{id}.{timestamp}.",
            encoding="base64",
            prefix="v1,",
            decoded=True,
            separator=" ",
            companions=(("svix-id", "{id}"), ("svix-timestamp", "{timestamp}")),
        ),
        Profile("hmac", "X-Webhook-Signature"),
    )
}

#: What the `hmac` profile lets one choose: option → its values.
_CHOICES = {
    "algorithm": ("sha256", "sha512", "sha1"),
    "encoding": ("hex", "base64"),
    "secret": ("text", "decoded"),
}
_OPTIONS = ("header", *_CHOICES, "prefix")


def compile_profiles(specs: Any, *, field: str = "signature_profiles") -> tuple[Profile, ...]:
    """Read the profiles of an endpoint.

    Args:
        specs: a list such as `[{"type": "stripe"}, {"type": "hmac", "header": "X-My-Signature"}]`; None is an empty
            one. Only `hmac` has options: `header`, `algorithm` (sha256, sha512, sha1), `encoding` (hex, base64),
            `prefix`, `secret` (text, decoded).
        field: where they stand in the input.

    Raises:
        Invalid: with one field for every fault, at `<field>.<index>.<option>`.
    """
    if specs is None:
        return ()
    faults: list[FieldError] = []
    profiles: list[Profile] = []
    if not isinstance(specs, list | tuple):
        faults.append(FieldError(field, "must be a list of profiles"))
    elif len(specs) > MAX_PROFILES:
        faults.append(FieldError(field, f"must hold at most {MAX_PROFILES} profiles, not {len(specs)}"))
    else:
        taken: dict[str, int] = {}
        for index, spec in enumerate(specs):
            place = f"{field}.{index}"
            wrong, profile = _compile(spec, place)
            faults += wrong
            if profile is None:
                continue
            profiles.append(profile)
            for name in profile.header_names:
                first = taken.setdefault(name.lower(), index)
                if first != index:
                    faults.append(FieldError(place, f"sets the header {name}, as {field}.{first} does"))
    if faults:
        raise Invalid.of(faults)
    return tuple(profiles)


def _compile(spec: Any, place: str) -> tuple[list[FieldError], Profile | None]:
    if not isinstance(spec, dict):
        return [FieldError(place, 'must be an object such as {"type": "stripe"}')], None
    kind = spec.get("type")
    profile = _BUILT_IN.get(kind) if isinstance(kind, str) else None
    if profile is None:
        return [FieldError(f"{place}.type", f"must be one of {', '.join(_BUILT_IN)}")], None
    known = _OPTIONS if profile.type == "hmac" else ()
    faults = []
    for name in spec:
        if name not in ("type", *known):
            takes = f"its options are {', '.join(known)}" if known else "it has no options"
            shown = name if isinstance(name, str) and is_token(name) else "?"
            faults.append(FieldError(f"{place}.{shown[:40]}", f"is no option of `{profile.type}`: {takes}"))
    options = {name: spec[name] for name in known if name in spec}
    faults += [
        FieldError(f"{place}.{name}", f"must be one of {', '.join(allowed)}")
        for name, allowed in _CHOICES.items()
        if name in options and options[name] not in allowed
    ]
    if "header" in options and (wrong := _header_fault(options["header"])):
        faults.append(FieldError(f"{place}.header", wrong))
    if "prefix" in options and (wrong := _prefix_fault(options["prefix"])):
        faults.append(FieldError(f"{place}.prefix", wrong))
    if faults:
        return faults, None
    if "secret" in options:
        options["decoded"] = options.pop("secret") == "decoded"
    return [], replace(profile, **options)


def _header_fault(name: Any) -> str | None:
    if not isinstance(name, str) or not is_token(name):
        return "must be a header name: letters, digits and !#$%&'*+-.^_`|~"
    if len(name) > MAX_NAME_CHARACTERS:
        return f"must have at most {MAX_NAME_CHARACTERS} characters"
    lower = name.lower()
    if is_refused(name) or lower in _REFUSED_NAMES or lower.startswith("content-"):
        return "is a header with another meaning and cannot carry a signature"
    return None


def _prefix_fault(prefix: Any) -> str | None:
    if prefix == "" or (
        isinstance(prefix, str) and len(prefix) <= MAX_PREFIX_CHARACTERS and _PREFIX.fullmatch(prefix)
    ):
        return None
    return f"must be text of at most {MAX_PREFIX_CHARACTERS} printable ASCII characters, no space first"
