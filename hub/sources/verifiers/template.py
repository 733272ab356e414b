"""What is signed, as a template: `{timestamp}.{body}`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter

NAMES = ("body", "timestamp", "id", "url", "method")


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text and names in turn."""

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template.

        Raises:
            ValueError: its braces do not match, or it has a name that is none of `NAMES`.
        """
        parts = []
        for literal, name, form, conversion in Formatter().parse(text):
            if form or conversion or (name is not None and name not in NAMES):
                known = ", ".join(f"{{{known}}}" for known in NAMES)
                raise ValueError(f"knows {known}; write {{{{ and }}}} for braces")
            parts.append((literal, name))
        return cls(tuple(parts))

    def uses(self, name: str) -> bool:
        """Is this name in it?"""
        return any(used == name for _, used in self.parts)

    def fill(self, *, method: str, url: str, timestamp: str, event_id: str, body: bytes) -> bytes:
        """The bytes that are signed. Header text that no encoding can hold is replaced, and then matches nothing."""
        values = {"method": method, "url": url, "timestamp": timestamp, "id": event_id}
        pieces = []
        for literal, name in self.parts:
            pieces.append(literal.encode(errors="replace"))
            if name == "body":
                pieces.append(body)
            elif name is not None:
                pieces.append(values[name].encode(errors="replace"))
        return b"".join(pieces)
