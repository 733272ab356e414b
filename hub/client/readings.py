"""Ways to read the parts of a signed request: as they should be, and as they are when somebody got them wrong. Pure.

Each wrong reading says what it would mean if the signature matched under it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from hub.client.signatures import VerifyingKey, from_base64, names_in, parse_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")

_SIGNATURE_BYTES = (32, 64)  # HMAC-SHA256, ed25519
_LABELLED = re.compile(r"(?:([A-Za-z0-9_-]{1,16})[,=])?(.+)")
_HEX = re.compile(r"([0-9a-fA-F]{2})+")
_MILLISECONDS = re.compile(r"[0-9]{13}")
_FRACTION = re.compile(r"([0-9]{9,12})\.[0-9]+")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a request, or worth knowing.

    Args:
        code: what it is, stable.
        message: a sentence for a person; without secrets.
        remedy: what to do about it.
    """

    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """One way to read a part.

    Args:
        value: the part, read so.
        finding: what is wrong if this reading is the one that matches; None for the part as it should be.
    """

    value: T
    finding: Finding | None = None


def secret_readings(secret: str, name: str = "The secret") -> list[Reading[VerifyingKey]]:
    """The keys that a secret may stand for, the proper one first.

    Args:
        secret: as somebody configured it.
        name: how to call it in a sentence.
    """
    readings: list[Reading[VerifyingKey]] = []
    if (key := _parsed(secret)) is not None:
        readings.append(Reading(key))
    known = {reading.value.raw for reading in readings}
    for raw, version, finding in _wrong_secrets(secret, name):
        if raw and raw not in known:
            known.add(raw)
            readings.append(Reading(VerifyingKey(version, raw), finding))
    return readings


def signature_readings(header: str) -> list[Reading[tuple[str, bytes]]]:
    """Version and bytes of each signature, also of those in a form that no verifier takes."""
    readings: list[Reading[tuple[str, bytes]]] = []
    for item in header.split():
        version, comma, text = item.partition(",")
        proper = _strict_base64(text) if comma else None
        if proper is not None:
            readings.append(Reading((version, proper)))
            if len(proper) in _SIGNATURE_BYTES:
                continue  # of another length it may be hex, which is base64 too
        labelled = _LABELLED.fullmatch(item)
        for how, raw in _loosely_decoded(labelled[2] if labelled else item):
            finding = Finding(
                "signature_form",
                f"The right signature is there, but not in the form v1,<base64>: {how}.",
                "Pass the header on as it came; a sender writes v1, and then standard base64.",
            )
            readings.append(Reading((labelled[1] or "" if labelled else "", raw), finding))
    return [reading for reading in readings if reading.value[1]]


def header_readings(headers: Mapping[str, str], part: str) -> list[Reading[str]]:
    """What may be the id, timestamp or signature, the one that a verifier takes first.

    Args:
        headers: by lower-case name.
        part: `id`, `timestamp` or `signature`.
    """
    proper = names_in(headers)[part]
    readings = [Reading(headers[proper])] if headers.get(proper) else []
    for name, value in headers.items():
        plain = name.replace("_", "-").removeprefix("http-").removeprefix("x-")
        if name == proper or plain not in {f"webhook-{part}", f"svix-{part}"} or not value:
            continue
        if headers.get(proper):
            finding = Finding(
                f"changed_{part}",
                f"The {part} that matches is in {name}; {proper} is another.",
                f"Something between sender and receiver set {proper} anew: let it pass unchanged.",
            )
        else:
            finding = Finding(
                "renamed_header",
                f"The {part} that matches is in {name}; verifiers read it from {proper}.",
                f"Pass the header on as {proper}.",
            )
        readings.append(Reading(value, finding))
    return readings


def timestamp_readings(stamp: str) -> Iterator[Reading[str]]:
    """The Unix seconds that a malformed timestamp may have been."""
    finding = Finding(
        "changed_timestamp",
        "The signature matches the timestamp in whole seconds; the header was written in another form.",
        "Pass webhook-timestamp on as it came: whole Unix seconds.",
    )
    if _MILLISECONDS.fullmatch(stamp):
        yield Reading(stamp[:-3], finding)
    elif match := _FRACTION.fullmatch(stamp):
        yield Reading(match[1], finding)


def _parsed(secret: str) -> VerifyingKey | None:
    try:
        return parse_secret(secret)
    except ValueError:
        return None


def _wrong_secrets(secret: str, name: str) -> Iterator[tuple[bytes, str, Finding]]:
    bare = secret.strip().strip("\"'").strip()
    encoded = bare.removeprefix("whsec_")
    if bare != secret and (key := _parsed(bare)) is not None:
        yield (
            key.raw,
            key.version,
            Finding(
                "secret_white_space",
                f"{name} has white space or quotes around it.",
                "Remove them; a file often ends with a line end that is read along.",
            ),
        )
    if bare.startswith("whsk_"):
        raw = from_base64(bare.removeprefix("whsk_")) or b""
        yield (
            raw[32:64] if len(raw) == 64 else b"",
            "v1a",
            Finding(
                "secret_private_key",
                f"{name} is the sender's private key (whsk_).",
                "Give the receiver the public key, whpk_…, and consider the private one leaked.",
            ),
        )
    inner = _text(from_base64(bare))
    if inner is not None and (key := _parsed(inner.strip())) is not None:
        yield (
            key.raw,
            key.version,
            Finding(
                "secret_encoded",
                f"{name} is base64 of the printed secret (Kubernetes shows its Secrets so).",
                "Decode it once: a webhook secret starts with whsec_.",
            ),
        )
    yield (
        from_base64(encoded.replace("-", "+").replace("_", "/")) or b"",
        "v1",
        Finding(
            "secret_prefix" if bare == encoded else "secret_base64url",
            f"{name} lacks its prefix whsec_."
            if bare == encoded
            else f"{name} is in URL-safe base64, with - and _.",
            "Give it as the sender printed it: whsec_ and then standard base64.",
        ),
    )
    as_text = Finding(
        "secret_as_text",
        f"The signature was made with the text of the secret as the key ({name.lower()}).",
        "The key is what base64 decodes from the part after whsec_: whoever signed did not decode it.",
    )
    for text in (bare, encoded, secret):
        yield text.encode("utf-8", "surrogatepass"), "v1", as_text
    if _HEX.fullmatch(encoded):
        yield (
            bytes.fromhex(encoded),
            "v1",
            Finding(
                "secret_as_hex",
                f"The signature was made with {name.lower()} read as hex.",
                "The key is what base64 decodes from the part after whsec_.",
            ),
        )


def _strict_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _text(raw: bytes | None) -> str | None:
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        return None


def _loosely_decoded(text: str) -> Iterator[tuple[str, bytes]]:
    if _HEX.fullmatch(text):
        yield "it is in hex", bytes.fromhex(text)
    if (raw := from_base64(text)) is not None:
        yield "its version or padding is missing or written otherwise", raw
    if (raw := from_base64(text.replace("-", "+").replace("_", "/"))) is not None:
        yield "it is in URL-safe base64", raw
