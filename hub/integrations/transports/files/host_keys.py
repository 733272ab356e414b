"""Which server an SFTP login may talk to: the keys that a person pinned, and no other.

Formats: a public key line of OpenSSH (`ssh-ed25519 AAAA…`, perhaps after host names, as in known_hosts) and its SHA-256
fingerprint (`SHA256:…`, RFC 4648 base64 without padding, as ssh-keygen prints it).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

#: Types whose signatures use SHA-2 or better; ssh-dss is not among them (RFC 8332, RFC 8709).
TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
_FINGERPRINT = re.compile(r"SHA256:([A-Za-z0-9+/]{43})=?")


@dataclass(frozen=True, slots=True)
class HostKeys:
    """The pinned keys.

    Args:
        fingerprints: SHA-256 of each.
        types: their types, when every one of them is known.
    """

    fingerprints: frozenset[bytes]
    types: frozenset[str]

    def has(self, blob: bytes) -> bool:
        """Is this public key one of them?"""
        return hashlib.sha256(blob).digest() in self.fingerprints


def parse(text: str) -> HostKeys:
    """Read what a person pinned.

    Raises:
        ValueError: with a sentence that follows the field's name.
    """
    fingerprints: set[bytes] = set()
    types: set[str] = set()
    unknown = False
    for line in filter(None, (line.strip() for line in text.splitlines())):
        if line.startswith("#"):
            continue
        if match := _FINGERPRINT.fullmatch(line):
            fingerprints.add(base64.b64decode(match[1] + "="))
            unknown = True
            continue
        if line.startswith("SHA256:"):
            raise ValueError("has a fingerprint that is not 43 characters of base64 after `SHA256:`")
        type_, blob = _key(line.split())
        fingerprints.add(hashlib.sha256(blob).digest())
        types.add(type_)
    if not fingerprints:
        raise ValueError(
            "is empty; give the server's key as ssh-keyscan prints it, or its SHA256 fingerprint"
        )
    return HostKeys(frozenset(fingerprints), frozenset() if unknown else frozenset(types))


def fingerprint(blob: bytes) -> str:
    """As ssh-keygen prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _key(words: list[str]) -> tuple[str, bytes]:
    for at, word in enumerate(words[:-1]):
        if word in TYPES:
            try:
                blob = base64.b64decode(words[at + 1], validate=True)
            except binascii.Error:
                break
            name = word.encode()
            if blob[:4] == len(name).to_bytes(4, "big") and blob[4 : 4 + len(name)] == name:
                return word, blob
            break
    raise ValueError(
        f"has a line that is neither a SHA256 fingerprint nor a public key of type {', '.join(TYPES)}"
    )
