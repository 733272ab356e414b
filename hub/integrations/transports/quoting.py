"""What a service says, inside a sentence of ours."""

from __future__ import annotations

from hub.net.outcome import safe_text

_MAX_CHARACTERS = 300


def quoted(text: str, limit: int = _MAX_CHARACTERS) -> str:
    """One printable line without a full stop at its end.

    A long text is cut between two words: the front half of a secret that the service repeats would not be found by
    those who mask secrets.

    Args:
        text: from outside.
        limit: characters.
    """
    line = "".join(
        each if each.isprintable() else " " for each in safe_text(text[: limit + 1], limit + 1)
    ).strip()
    if len(text) > limit:
        line = f"{line[:limit].rpartition(' ')[0].rstrip()} …"
    return line.rstrip(".")
