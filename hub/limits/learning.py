"""What a provider's answer tells about its own limits. Pure.

Understood, all of it leniently:
- `Retry-After` (RFC 9110, 10.2.3), also with decimals (Shopify), and `Retry-After-Ms` (Azure), with an answer that
  refuses.
- `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers, 07 and later).
- Every header like `[X-]RateLimit-{Limit,Remaining,Reset}`: with `Rate-Limit`, a vendor's prefix (Anthropic, HubSpot),
  a scope on either side (OpenAI's `-Remaining-Tokens`, Kong's `-Remaining-Minute`), lists of several windows, and a
  reset in seconds, as an epoch in seconds or milliseconds, as a date, or as a duration (`6m0s`).
- `X-Shopify-Shop-Api-Call-Limit: 32/40`.

Promises: garbage teaches nothing and never raises; work is bounded. Moments are read by the provider's own clock where
its answer carries a `Date`, so a difference between the clocks does no harm. Leaves to others: which bucket to pause.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Seconds; a longer wait is cut to it. A limit that lasts longer is met again then.
MAX_WAIT = 86_400.0

_MAX_CHARACTERS = 1000
#: With these, Retry-After is about the limit or the service; with others it is about one resource (a 202, a redirect).
_REFUSALS = frozenset({403, 429, 503, 529})
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_DURATION_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern}){{1,6}}", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_RATE_LIMIT = re.compile(
    r"(?P<vendor>(?:x-|[a-z]{1,20}-|x-[a-z]{1,20}-)?)rate-?limit-?(?P<rest>[a-z-]{0,60})"
)
_PLAIN_SCOPES = {"second": 1.0, "secondly": 1.0, "minute": 60.0, "hour": 3600.0}
_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PARAMETER = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+')
_SHOPIFY = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)
#: Shopify's REST bucket gives back at least two calls a second (shopify.dev, "API limits").
_SHOPIFY_RESET = 0.5


@dataclass(frozen=True, slots=True)
class Learned:
    """What the provider said of the limit that binds most.

    Args:
        remaining: calls, tokens or whatever it counts, that are left; None when it did not say.
        reset_seconds: until there is more, at most `MAX_WAIT`; None when it did not say.
        limit: the whole quota; None when it did not say.
    """

    remaining: float | None
    reset_seconds: float | None
    limit: float | None = None


def learn(headers: Mapping[str, str], *, status: int | None, now: datetime) -> Learned | None:
    """Read an answer's headers.

    Args:
        headers: with lower-case names, as in `Outcome.headers`.
        status: of the answer; a 429 that names a reset says that nothing is left.
        now: timezone-aware; for answers without a `Date`.

    Returns:
        The limit that binds most: of those with nothing left the one that lasts longest, else the one with least left.
        None when the headers say nothing of use.
    """
    sane = {name: value.strip() for name, value in headers.items() if len(value) <= _MAX_CHARACTERS}
    there = _date(sane.get("date", "")) or now
    found = [
        replace(each, remaining=0.0) if each.remaining is None and status == 429 else each
        for each in (*_structured(sane), *_families(sane, there), *_shopify(sane))
        if each.remaining is not None or each.reset_seconds is not None
    ]
    if status in _REFUSALS and (wait := _retry_after(sane, there)) is not None:
        found.append(Learned(0.0, wait))
    return max(found, key=_binding, default=None)


def pause_of(learned: Learned | None) -> float:
    """How many seconds to make no more calls: until the reset, when nothing is left; else 0.

    Who has nothing left but did not say until when is not paused: some providers always send a zero.
    """
    if learned is None or learned.remaining is None or learned.remaining > 0:
        return 0.0
    return learned.reset_seconds or 0.0


def _binding(learned: Learned) -> tuple[float, float]:
    left = float("inf") if learned.remaining is None else learned.remaining
    return pause_of(learned), -left


def _retry_after(headers: Mapping[str, str], there: datetime) -> float | None:
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (milliseconds := _number(headers.get(name, ""))) is not None:
            return _bounded(milliseconds / 1000)
    value = headers.get("retry-after", "")
    if (seconds := _number(value)) is not None:
        return _bounded(seconds)
    at = _date(value)
    return None if at is None else _bounded((at - there).total_seconds())


def _structured(headers: Mapping[str, str]) -> Iterator[Learned]:
    """`"name";r=5;t=30` (draft 08 and later), or `limit=10, remaining=5, reset=30` (draft 07)."""
    text = headers.get("ratelimit", "")
    if not text:
        return
    policies = dict(_items(headers.get("ratelimit-policy", "")))
    items = list(_items(text))
    plain = {name: value for bare, _ in items for name, _, value in [bare.partition("=")]}
    if "remaining" in plain:
        yield _one(plain["remaining"], _seconds(plain.get("reset", "")), plain.get("limit", ""))
    for name, given in items:
        if "r" in given:
            policy = policies.get(name, {})
            yield _one(given["r"], _seconds(given.get("t") or policy.get("w", "")), policy.get("q", ""))


def _families(headers: Mapping[str, str], there: datetime) -> Iterator[Learned]:
    """Headers of the `X-RateLimit-*` kind; those that differ only in what they tell belong together."""
    families: dict[tuple[str, str], dict[str, str]] = {}
    for name, value in headers.items():
        if (match := _RATE_LIMIT.fullmatch(name)) and name not in {"ratelimit", "ratelimit-policy"}:
            told, scope = _told(match["rest"])
            families.setdefault((match["vendor"], scope), {})[told] = value
    for (_, scope), family in families.items():
        if "remaining" not in family and "reset" not in family and "reset-after" not in family:
            continue
        columns = {told: [item.strip() for item in value.split(",")] for told, value in family.items()}
        windows = len(columns.get("remaining", [""]))
        for window in range(windows):
            # Several windows in one header are lists of the same length; another list is not one of windows
            # (`RateLimit-Limit: 100, 100;w=60`), and a date has a comma.
            row = {
                told: items[window] if len(items) == windows > 1 else family[told]
                for told, items in columns.items()
            }
            reset = _seconds(row.get("reset-after", ""))
            if reset is None:
                reset = _reset(row.get("reset", ""), there)
            if reset is None and (milliseconds := _number(row.get("interval-milliseconds", ""))) is not None:
                reset = _bounded(milliseconds / 1000)
            if reset is None:
                reset = _PLAIN_SCOPES.get(scope)
            yield _one(
                row.get("remaining", ""), reset, row.get("limit", "").partition(",")[0].partition(";")[0]
            )


def _told(rest: str) -> tuple[str, str]:
    """What a header of a family tells, and of what: `remaining-tokens` → remaining, of tokens."""
    for told in ("reset-after", "interval-milliseconds", "remaining", "reset", "limit", "max"):
        if told == rest:
            scope = ""
        elif rest.startswith(f"{told}-"):
            scope = rest[len(told) + 1 :]
        elif rest.endswith(f"-{told}"):
            scope = rest[: -len(told) - 1]
        else:
            continue
        return ("limit" if told == "max" else told), scope
    return "limit", rest


def _shopify(headers: Mapping[str, str]) -> Iterator[Learned]:
    if match := _SHOPIFY.fullmatch(headers.get("x-shopify-shop-api-call-limit", "")):
        used, limit = int(match[1]), int(match[2])
        if limit:
            yield Learned(float(max(limit - used, 0)), _SHOPIFY_RESET, float(limit))


def _one(remaining: str, reset: float | None, limit: str) -> Learned:
    quota, left = _number(limit), _number(remaining)
    if (quota is not None and quota <= 0) or (left is not None and left < 0):
        return Learned(None, None)  # how some say "without limit"
    return Learned(left, reset, quota)


def _items(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The members of a structured list (RFC 9651) with their parameters; no more of the format than this needs."""
    for item in _ITEM.findall(text):
        parts = [part.strip() for part in _PARAMETER.findall(item)]
        pairs = (part.partition("=") for part in parts[1:])
        yield "".join(parts[:1]), {key.strip(): value.strip() for key, _, value in pairs}


def _reset(text: str, there: datetime) -> float | None:
    """Seconds until a reset that is told as a moment, a number of seconds or a duration."""
    number = _number(text)
    if number is None or number < 1e9:
        at = None if number is not None else _date(text)
        return _seconds(text) if at is None else _bounded((at - there).total_seconds())
    # Nobody waits for thirty years: an epoch, in seconds or in milliseconds.
    return _bounded((number / 1000 if number >= 1e12 else number) - there.timestamp())


def _seconds(text: str) -> float | None:
    """A number of seconds, or a duration with units."""
    number = _number(text)
    if number is not None:
        return _bounded(number)
    if _DURATION.fullmatch(text):
        return _bounded(sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION_PART.findall(text)))
    return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_WAIT)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _date(text: str) -> datetime | None:
    """An HTTP date or an ISO 8601 one."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text) if text[0].isdigit() else parsedate_to_datetime(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
