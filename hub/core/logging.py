"""One line a record on standard error: time, level, logger, message; nothing that looks like a secret survives.

Libraries log what they are given. The filter here is the last wall, not the first: secrets are kept out of messages
by the `Secret` type; this masks what a library prints on its own (an Authorization header, a URL with a password).
"""

from __future__ import annotations

import logging
import re
import sys
import time

_HEADER = r"(?i)(?P<name>\b(?:authorization|proxy-authorization|x-api-key|cookie|set-cookie)\b"
_MASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    # A header's whole value: schemes differ, cookies are many. Up to its closing quote, also inside a JSON text …
    (
        re.compile(_HEADER + r"(?:\\*['\"])?\s*[:=,]\s*b?)(?P<quote>\\*['\"])(?:(?!(?P=quote)).)*"),
        r"\g<name>\g<quote>***",
    ),
    # … or up to the end of the line.
    (re.compile(_HEADER + r"\s*[:=]\s*)(?!b?\\*['\"])\S[^\r\n]*"), r"\g<name>***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9+/=._~-]{8,}"), r"\1 ***"),
    (re.compile(r"\bwhs(ec|k)_[A-Za-z0-9+/=]{8,}"), r"whs\1_***"),
    (re.compile(r"\bhub_([0-9a-f]{32})_[A-Za-z0-9]+"), r"hub_\1_***"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s]+@"), r"\1***@"),
)


def mask(text: str) -> str:
    """Hide what looks like a credential in free text."""
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text


class LineFormatter(logging.Formatter):
    """`12:34:56.789 INFO  hub.webhooks.pump: sentence`, masked; tracebacks follow, masked too."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        stamp = time.strftime("%H:%M:%S", time.gmtime(record.created))
        line = f"{stamp}.{int(record.msecs):03d} {record.levelname:<7} {record.name}: {record.getMessage()}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return mask(line)


def configure_logging(level: str = "INFO") -> None:
    """Send every logger of this process to standard error through the masking formatter.

    Args:
        level: a standard level name.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Their INFO is a line per task or request: at thousands a second the log would be the bottleneck.
    for noisy in (
        "celery.app.trace",
        "celery.worker.strategy",
        "kombu",
        "urllib3",
        "uvicorn.access",
        "alembic",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
