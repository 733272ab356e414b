"""What a profile is, and the ways to make a check from one. The vendors' data is in `vendors_*` and `generic`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hub.sources.handshakes import Handshake
from hub.sources.verifiers.contract import Check
from hub.sources.verifiers.custom import read_extraction
from hub.sources.verifiers.keys import Encoding, Hash, hmac_key
from hub.sources.verifiers.options import Options
from hub.sources.verifiers.scheme import Scheme, Signed
from hub.sources.verifiers.template import Template

if TYPE_CHECKING:
    from hub.sources.verifiers.payload import Extraction
    from hub.sources.verifiers.timestamps import Timestamp

#: Makes the check of a description; reads the options that it knows.
Build = Callable[[Options], Check]
#: Makes the handshake of a description, or None where the provider has none.
Greet = Callable[[Options], Handshake | None]


def greeted(handshake: Handshake | None) -> Greet:
    """The greeting of a provider whose handshake has no options."""
    return lambda _: handshake


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One provider's way of signing.

    Args:
        title: the provider's name.
        docs: the provider's page on it; empty for our own profiles.
        credential: what the provider calls the secret.
        credential_help: where to find it.
        build: makes the check.
        greet: makes the handshake.
        handshakes: the names of the handshakes that are answered.
        options: the keys that a description may have beside `profile`.
        needs_secret: can nothing be verified without one.
        needs_url: does the signature cover the public URL, so that a proxy in front must not change it.
        needs_certificates: does the check fetch certificates (the only I/O there is).
        note: what a person should know of its limits.
    """

    title: str
    docs: str
    credential: str
    credential_help: str
    build: Build
    greet: Greet = lambda _: None
    handshakes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    needs_secret: bool = True
    needs_url: bool = False
    needs_certificates: bool = False
    note: str = ""


PLACES = ("id_header", "id_path", "type_header", "type_path")


def signed(scheme: Scheme) -> Build:
    """The build of a provider that is data for the engine: its age limit and places may be overridden."""

    def build(options: Options) -> Check:
        return adjusted(scheme, options)

    return build


def adjusted(scheme: Scheme, options: Options) -> Scheme:
    """The scheme with the description's own age limit and places of id and type.

    A scheme that signs the id keeps its header for it, and one without a time takes no age limit.
    """
    extraction = read_extraction(options, scheme.extraction)
    if scheme.template.uses("id") and extraction.id_headers != scheme.extraction.id_headers:
        options.fail("id_header", "cannot be changed: this sender signs the id")
    timestamp = scheme.timestamp
    if timestamp is not None:
        timestamp = replace(timestamp, tolerance=options.tolerance(timestamp.tolerance))
    return replace(scheme, extraction=extraction, timestamp=timestamp)


def overrides(scheme: Scheme) -> tuple[str, ...]:
    """The options that `signed` knows for a scheme."""
    return (*PLACES, "tolerance_seconds") if scheme.timestamp is not None else PLACES


def vendor(
    scheme: Scheme,
    *,
    title: str,
    docs: str,
    credential: str,
    credential_help: str,
    handshake: Handshake | None = None,
    handshakes: tuple[str, ...] = (),
    note: str = "",
) -> Profile:
    """A provider that is data for the engine."""
    return Profile(
        title=title,
        docs=docs,
        credential=credential,
        credential_help=credential_help,
        build=signed(scheme),
        greet=greeted(handshake),
        handshakes=handshakes,
        options=overrides(scheme),
        needs_url=scheme.template.uses("url"),
        note=note,
    )


def hmac_scheme(
    header: str,
    extraction: Extraction,
    *,
    template: str = "{body}",
    algorithm: Hash = "sha256",
    encoding: Encoding = "hex",
    prefix: str = "",
    timestamp: Timestamp | None = None,
    separator: str | None = None,
) -> Scheme:
    """The commonest scheme: one header with an HMAC, keyed by the secret's text."""
    return Scheme(
        headers=(header,),
        signed=(Signed(hmac_key(algorithm), prefix),),
        separator=separator,
        encoding=encoding,
        template=Template.parse(template),
        timestamp=timestamp,
        extraction=extraction,
    )
