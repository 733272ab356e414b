"""The page that a person sees after coming back from a provider: no script, nothing loaded, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from html import escape

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1.5rem;color:#1c2430;"
    "background:#fff}h1{font-size:1.4rem;margin:0 0 .75rem}p{margin:0 0 1rem;overflow-wrap:anywhere}"
    ".ok{border-left:4px solid #1a7f4b;padding-left:1rem}.bad{border-left:4px solid #b3261e;padding-left:1rem}"
    "@media(prefers-color-scheme:dark){body{background:#14181f;color:#e6e9ef}a{color:#8ab4f8}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

#: The headers of the page. It stands alone: its address held a code.
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def connected(name: str, return_url: str | None) -> str:
    """It worked.

    Args:
        name: of the integration.
        return_url: where the person came from.
    """
    text = f"<strong>{escape(name)}</strong> is connected. You can close this page."
    return _page("Connected", f"<p>{text}</p>", "ok", return_url)


def failed(reason: str, return_url: str | None) -> str:
    """It did not work.

    Args:
        reason: a sentence, which may hold the provider's words.
        return_url: where the person came from.
    """
    return _page("Not connected", f"<p>{escape(reason)}</p>", "bad", return_url)


def _page(title: str, body: str, kind: str, return_url: str | None) -> str:
    back = "" if return_url is None else f'<p><a href="{escape(return_url)}">Go back</a></p>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f'<body><main class="{kind}"><h1>{title}</h1>{body}{back}</main></body></html>'
    )
