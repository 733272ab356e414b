"""A signature over a string of one's own description, with a key that both sides know (HMAC, RFC 2104).

Hashes inside of the string are there for the body alone; schemes that hash twice in other ways (Kraken hashes the
nonce with the body) or sign with a derived key are not expressible. AWS has a mode of its own.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from pydantic import Field

from hub.core.errors import FieldError
from hub.integrations.auth.fields import Shown, WriteOnly, mapping_at, text_at
from hub.integrations.auth.mode import Mode, Parameters, Secrets
from hub.integrations.auth.places import ALWAYS, Moment, Value, fill, places_of, template_fault
from hub.integrations.auth.request_places import BODY_DIGESTS, HEADER, PARTS, request_values
from hub.integrations.auth.templates import (
    SECRETS,
    Template,
    TemplatesForm,
    place,
    secret_values,
    templates_faults,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


Algorithm = Literal["sha1", "sha256", "sha384", "sha512"]
Encoding = Literal["hex", "base64", "base64url", "base64url_unpadded"]
KeyEncoding = Literal["text", "hex", "base64", "base64url"]

_SIGNATURE = "signature"
#: What headers and parameters may have …
_PLACED = ALWAYS | BODY_DIGESTS | {_SIGNATURE, "key_id"}
#: … and what the string may have.
_SIGNED = ALWAYS | BODY_DIGESTS | PARTS | {HEADER, "key_id"}


class HmacAuth(TemplatesForm):
    """A signature (HMAC) over the parts of the request that a template names.

    Everything in `headers` and `query` that has no `{{ signature }}` is put on the request first, so it can be signed;
    then the string is made and signed, and what has the signature is put last.

    Places in `string`: `method`, `url`, `host`, `path`, `query`, `query_sorted`, `target` (path and query), `body`,
    `form_sorted`, `body_sha256_hex` (also md5, sha1, sha512, and base64), `header.NAME`, `timestamp`, `nonce`, `uuid`,
    `key_id`, and the secrets. Places in `headers` and `query`: `signature`, `key_id`, `timestamp`, `nonce`, `uuid`,
    digests of the body, and the secrets.

    `{"mode": "hmac", "string": "{{ timestamp }}.{{ body }}", "key": "…", "headers": {"X-Timestamp":
    "{{ timestamp }}", "X-Signature": "sha256={{ signature }}"}}`
    """

    mode: Literal["hmac"]
    string: Template = Field(
        min_length=1, description="What is signed: a template, `\\n` between parts as needed."
    )
    algorithm: Algorithm = "sha256"
    encoding: Encoding = Field(default="hex", description="Of the signature.")
    key_encoding: KeyEncoding = Field(default="text", description="How the key is written.")
    key_id: Shown = Field(
        default="", description="Which key this is; it is shown. A secret one goes into `secrets`."
    )
    key: WriteOnly = None


class HmacSignature:
    """Signs requests as described.

    Args:
        parameters: of the form, without faults.
        secrets: `key`, and `secrets.<name>` for each other one that a template uses.
        moment: gives what is new in every request.
    """

    def __init__(
        self,
        parameters: Parameters,
        secrets: Secrets,
        *,
        moment: Callable[[], Moment] = Moment.present,
    ) -> None:
        self._parameters = parameters
        self._key = secrets["key"]
        self._constant: dict[str, Value] = secret_values(secrets) | {"key_id": lambda: parameters["key_id"]}
        self._moment = moment
        self._headers, self._signed_headers = _split(parameters["headers"])
        self._query, self._signed_query = _split(parameters["query"])

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request."""
        parameters = self._parameters
        values = self._moment().values(parameters["timestamp_format"]) | self._constant
        values |= request_values(request, BODY_DIGESTS)
        place(request, self._headers, self._query, values)
        string = parameters["string"]
        signed = fill(string, values | request_values(request, places_of(string)))
        key = read_key(self._key.reveal(), parameters["key_encoding"])
        digest = hmac.digest(key, signed, parameters["algorithm"])
        signature = write_signature(digest, parameters["encoding"])
        values[_SIGNATURE] = lambda: signature
        place(request, self._signed_headers, self._signed_query, values)
        return request


def read_key(text: str, encoding: KeyEncoding) -> bytes:
    """The bytes of a key.

    Raises:
        ValueError: it is not written so.
    """
    match encoding:
        case "text":
            return text.encode()
        case "hex":
            return bytes.fromhex(text)
        case "base64":
            return b64decode(text, validate=True)
        case "base64url":
            return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def write_signature(digest: bytes, encoding: Encoding) -> str:
    """A signature as the provider wants it."""
    match encoding:
        case "hex":
            return digest.hex()
        case "base64":
            return b64encode(digest).decode()
        case "base64url":
            return urlsafe_b64encode(digest).decode()
        case "base64url_unpadded":
            return urlsafe_b64encode(digest).decode().rstrip("=")


def faults(given: Parameters) -> list[FieldError]:
    """What is wrong beyond the form."""
    string = text_at(given, "string")
    found = templates_faults(given, _PLACED, elsewhere=string, known_elsewhere=_SIGNED)
    if string:
        secrets = given.get(SECRETS)
        names = [str(name) for name in secrets] if isinstance(secrets, dict) else []
        if (fault := template_fault(string, {*_SIGNED, *names})) is not None:
            found.append(FieldError("auth.string", fault))
        elif not places_of(string):
            found.append(
                FieldError("auth.string", "has no place: every request would have the same signature")
            )
    texts = [*mapping_at(given, "headers").values(), *mapping_at(given, "query").values()]
    if texts and not any(_has_signature(text) for text in texts):
        found.append(FieldError("auth.headers", "or `query` must have the place {{ signature }}"))
    if not text_at(given, "key_id") and any("key_id" in places_of(text) for text in (*texts, string)):
        found.append(FieldError("auth.key_id", "is required, as a template uses it"))
    encoding, key = text_at(given, "key_encoding", "text"), text_at(given, "key")
    try:
        if encoding in get_args(KeyEncoding):
            read_key(key, cast("KeyEncoding", encoding))
    except (ValueError, binascii.Error):
        found.append(FieldError("auth.key", f"is not {encoding}, as `key_encoding` says"))
    return found


def _has_signature(template: str) -> bool:
    return _SIGNATURE in places_of(template)


def _split(templates: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Those that are put on the request before it is signed, and those that have the signature."""
    return (
        {name: text for name, text in templates.items() if not _has_signature(text)},
        {name: text for name, text in templates.items() if _has_signature(text)},
    )


MODE = Mode(
    "hmac",
    HmacAuth,
    secrets=("key",),
    sign=HmacSignature,
    faults=faults,
    any_text=frozenset({"key"}),
    dynamic=SECRETS,
)
