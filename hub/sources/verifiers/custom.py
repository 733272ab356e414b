"""The declarative verifier: a sender that we have no profile for, described in data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.sources.verifiers.keys import Encoding, Hash, SecretEncoding, hmac_key
from hub.sources.verifiers.payload import Extraction
from hub.sources.verifiers.scheme import Scheme, Signed
from hub.sources.verifiers.template import Template
from hub.sources.verifiers.timestamps import Format, Timestamp

if TYPE_CHECKING:
    from hub.sources.verifiers.options import Options

DEFAULT_TOLERANCE = 300


def read_extraction(options: Options, default: Extraction | None = None) -> Extraction:
    """`id_header`, `id_path`, `type_header`, `type_path`; what is given replaces the profile's own place."""
    default = default or Extraction()
    id_header, id_path = options.header("id_header"), options.path("id_path")
    type_header, type_path = options.header("type_header"), options.path("type_path")
    own_id, own_type = id_header or id_path, type_header or type_path
    return Extraction(
        id_headers=((id_header,) if id_header else ()) if own_id else default.id_headers,
        id_paths=((id_path,) if id_path else ()) if own_id else default.id_paths,
        type_headers=((type_header,) if type_header else ()) if own_type else default.type_headers,
        type_paths=((type_path,) if type_path else ()) if own_type else default.type_paths,
        type_suffix_path=None if own_type else default.type_suffix_path,
    )


def read_custom(options: Options) -> Scheme:
    """The scheme of a `custom` description.

    Raises:
        Invalid: a key is missing or wrong, or keys contradict each other.
    """
    header = options.header("header")
    if header is None:
        options.fail("header", "is needed: the header that has the signature")
    secret_encoding: SecretEncoding = options.choice("secret_encoding", SecretEncoding, "text")
    algorithm: Hash = options.choice("algorithm", Hash, "sha256")
    extraction = read_extraction(options)
    template = _read_template(options)
    timestamp = _read_timestamp(options)
    if timestamp is not None and timestamp.path is None and not template.uses("timestamp"):
        options.fail("template", "must have {timestamp}: a time that is not signed can be changed by anybody")
    if timestamp is None and template.uses("timestamp"):
        options.fail("timestamp_header", "is needed, as the template has {timestamp}")
    if template.uses("id") and not extraction.id_headers:
        options.fail("id_header", "is needed, as the template has {id}")
    return Scheme(
        headers=(header,),
        signed=(Signed(hmac_key(algorithm, encoding=secret_encoding), options.text("prefix") or ""),),
        separator=options.text("separator", limit=1),
        encoding=options.choice("encoding", Encoding, "hex"),
        template=template,
        timestamp=timestamp,
        extraction=extraction,
    )


def _read_template(options: Options) -> Template:
    try:
        template = Template.parse(options.text("template") or "{body}")
    except ValueError as error:
        options.fail("template", f"is not readable ({error})")
    if not template.uses("body"):
        options.fail(
            "template", "must have {body}: a signature that does not cover the body proves nothing of it"
        )
    return template


def _read_timestamp(options: Options) -> Timestamp | None:
    header, item = options.header("timestamp_header"), options.text("timestamp_prefix")
    path = options.path("timestamp_path")
    form: Format = options.choice("timestamp_format", Format, "seconds")
    if sum(place is not None for place in (header, item, path)) > 1:
        options.fail(
            "timestamp_header", "excludes `timestamp_prefix` and `timestamp_path`; give one of the three"
        )
    if header is None and item is None and path is None:
        if options.tolerance(0):
            places = "`timestamp_header`, `timestamp_prefix` or `timestamp_path`"
            options.fail("tolerance_seconds", f"needs a time: {places}")
        return None
    tolerance = options.tolerance(DEFAULT_TOLERANCE)
    return Timestamp(header=header, item=item, path=path, format=form, tolerance=tolerance)
