"""The engine: a signature over a template, in a header. Most providers are data for it.

The signature is checked before the age, so that the verdict tells a stale request from a forged one. Every secret is
tried (an overlap during rotation); the first that matches is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.sources.verifiers.contract import Refused
from hub.sources.verifiers.keys import Encoding, Loader, decoded, first_right
from hub.sources.verifiers.payload import Extraction, json_body, value_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from hub.core.secret import Secret
    from hub.sources.verifiers.contract import Received, Verdict
    from hub.sources.verifiers.template import Template
    from hub.sources.verifiers.timestamps import Timestamp

#: A sender in the middle of a rotation sends two or three; the cap bounds what a hostile header costs.
_MAX_SIGNATURES = 32


@dataclass(frozen=True, slots=True)
class Signed:
    """One way in which a sender signs.

    Args:
        load: makes the key of a secret.
        prefix: what stands before the signature, such as `sha256=`.
    """

    load: Loader
    prefix: str = ""


def exact_url(url: str) -> tuple[str, ...]:
    """The URL as it was called."""
    return (url,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A signature in a header.

    Args:
        headers: where signatures are; one right signature is enough.
        numbered: the headers are `name-1`, `name-2` and so on (DocuSign).
        separator: what stands between several signatures, or items, in one header.
        encoding: how signatures are written.
        signed: the ways of signing that are accepted.
        template: what is signed.
        url_forms: the spellings of the URL under which the sender may have signed it.
        timestamp: the time of signing, where there is one.
        fixed: headers that must have one value, such as a version.
        json_object: the body must be a JSON object (see the handshake of X).
        extraction: where the event's id and type are.
    """

    headers: tuple[str, ...]
    signed: tuple[Signed, ...]
    encoding: Encoding
    template: Template
    extraction: Extraction
    numbered: bool = False
    separator: str | None = None
    url_forms: Callable[[str], tuple[str, ...]] = exact_url
    timestamp: Timestamp | None = None
    fixed: tuple[tuple[str, str], ...] = ()
    json_object: bool = False

    def accept(self, received: Received, secrets: Sequence[Secret], now: datetime) -> Verdict:
        """The verdict of yes.

        Raises:
            Refused: the signature is missing, malformed, wrong or too old.
        """
        for name, value in self.fixed:
            if received.headers.get(name, value).lower() != value.lower():
                raise Refused("unsupported_version", f"Header {name} must be {value}.")
        items = self._items(received)
        index = first_right(
            secrets,
            self._ways(items),
            self._messages(received, items),
            "None of this source's secrets gives this signature: the secret is another one, "
            "or the body" + (" or the URL" if self.template.uses("url") else "") + " was changed on the way.",
        )
        if self.json_object and received.body.lstrip()[:1] != b"{":
            raise Refused("malformed_body", "The body is no JSON object.")
        self._judge_time(received, items, now)
        return self.extraction.accepted(received, index, "The signature is right.")

    def _header_names(self) -> str:
        return " or ".join(f"{name}-1" if self.numbered else name for name in self.headers)

    def _items(self, received: Received) -> list[str]:
        names: Sequence[str] = self.headers
        if self.numbered:
            names = [f"{name}-{number}" for name in names for number in range(1, _MAX_SIGNATURES + 1)]
        values = [value for name in names if (value := received.headers.get(name))]
        if self.separator is not None:
            values = [part for value in values for part in value.split(self.separator, _MAX_SIGNATURES)]
        items = [text for value in values if (text := value.strip())]
        if not items:
            raise Refused("missing_header", f"The request has no header {self._header_names()}.")
        return items

    def _ways(self, items: Sequence[str]) -> list[tuple[Loader, list[bytes]]]:
        ways: list[tuple[Loader, list[bytes]]] = []
        for way in self.signed:
            found = [item[len(way.prefix) :] for item in items if item.startswith(way.prefix)]
            raw = [signature for text in found if (signature := decoded(text, self.encoding))]
            ways.append((way.load, raw[:_MAX_SIGNATURES]))
        if not any(signatures for _, signatures in ways):
            form = " or ".join(f"`{way.prefix}` and {self.encoding}" for way in self.signed)
            detail = f"Header {self._header_names()} has no signature of the form {form}."
            raise Refused("malformed_header", detail)
        return ways

    def _messages(self, received: Received, items: Sequence[str]) -> list[bytes]:
        written = event_id = ""
        if self.template.uses("timestamp") and self.timestamp is not None:
            written = self.timestamp.text(received, items) or ""
            if not written:
                raise Refused(
                    "missing_header", f"The request has no time of signing: {self.timestamp.place}."
                )
        if self.template.uses("id"):
            name = self.extraction.id_headers[0]
            event_id = received.headers.get(name, "")
            if not event_id:
                raise Refused("missing_header", f"The request has no header {name}.")
        urls = self.url_forms(received.url) if self.template.uses("url") else ("",)
        return [
            self.template.fill(
                method=received.method, url=url, timestamp=written, event_id=event_id, body=received.body
            )
            for url in urls
        ]

    def _judge_time(self, received: Received, items: Sequence[str], now: datetime) -> None:
        if self.timestamp is None:
            return
        if self.timestamp.path is not None:
            self.timestamp.judge(value_at(json_body(received.body), self.timestamp.path), now)
        else:
            self.timestamp.judge(self.timestamp.text(received, items), now)
