"""What headers of well-known providers tell about their limits, and that no garbage raises."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime

import pytest

from hub.limits.learning import MAX_WAIT, Learned, learn, pause_of

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def read(headers: dict[str, str], status: int | None = 200) -> Learned | None:
    return learn({name.lower(): value for name, value in headers.items()}, status=status, now=NOW)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        # draft-ietf-httpapi-ratelimit-headers
        ({"RateLimit": '"default";r=50;t=30'}, Learned(50, 30)),
        (
            {"RateLimit": '"default";r=50;t=30', "RateLimit-Policy": '"default";q=100;w=60'},
            Learned(50, 30, 100),
        ),
        (
            {"RateLimit": '"burst";r=3;t=1, "daily";r=0;t=4000', "RateLimit-Policy": '"daily";q=9;w=86400'},
            Learned(0, 4000, 9),
        ),
        ({"RateLimit": '"a,b;c";r=0', "RateLimit-Policy": '"a,b;c";q=10;w=60'}, Learned(0, 60, 10)),
        ({"RateLimit": "default;r=7;t=3"}, Learned(7, 3)),
        ({"RateLimit": "limit=100, remaining=0, reset=5"}, Learned(0, 5, 100)),
        (
            {"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "9", "RateLimit-Reset": "50"},
            Learned(9, 50, 100),
        ),
        # GitHub, Okta, X
        (
            {
                "X-RateLimit-Limit": "5000",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(EPOCH + 1800),
                "X-RateLimit-Used": "5000",
                "X-RateLimit-Resource": "core",
            },
            Learned(0, 1800, 5000),
        ),
        (
            {
                "X-Rate-Limit-Limit": "600",
                "X-Rate-Limit-Remaining": "599",
                "X-Rate-Limit-Reset": str(EPOCH + 60),
            },
            Learned(599, 60, 600),
        ),
        # Zendesk
        ({"X-Rate-Limit": "700", "X-Rate-Limit-Remaining": "12"}, Learned(12, None, 700)),
        # epoch in milliseconds; Atlassian; an HTTP date; a date without a zone
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(EPOCH * 1000 + 2500)}, Learned(0, 2.5)),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2026-11-23T12:01Z"}, Learned(0, 60)),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2026-11-23T13:01:00+01:00"}, Learned(0, 60)),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2026-11-23T12:01:00"}, Learned(0, 60)),
        (
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "Mon, 23 Nov 2026 12:00:30 GMT"},
            Learned(0, 30),
        ),
        # Reddit
        ({"X-Ratelimit-Remaining": "59.0", "X-Ratelimit-Reset": "42"}, Learned(59, 42)),
        # Discord
        (
            {
                "X-RateLimit-Limit": "5",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": f"{EPOCH + 100}.123",
                "X-RateLimit-Reset-After": "1.5",
                "X-RateLimit-Bucket": "abcd1234",
            },
            Learned(0, 1.5, 5),
        ),
        # OpenAI
        (
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-limit-tokens": "150000",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            Learned(0, 360, 150000),
        ),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, Learned(0, 0.02)),
        # Anthropic
        (
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-requests-reset": "2026-11-23T12:00:01Z",
                "anthropic-ratelimit-input-tokens-limit": "30000",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-23T12:00:20Z",
            },
            Learned(0, 20, 30000),
        ),
        # HubSpot
        (
            {
                "X-HubSpot-RateLimit-Daily": "250000",
                "X-HubSpot-RateLimit-Daily-Remaining": "249000",
                "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
                "X-HubSpot-RateLimit-Max": "100",
                "X-HubSpot-RateLimit-Remaining": "0",
            },
            Learned(0, 10, 100),
        ),
        (
            {"X-HubSpot-RateLimit-Secondly": "10", "X-HubSpot-RateLimit-Secondly-Remaining": "0"},
            Learned(0, 1, 10),
        ),
        # Kong
        ({"X-RateLimit-Limit-Minute": "5", "X-RateLimit-Remaining-Minute": "0"}, Learned(0, 60, 5)),
        # several windows in one header
        (
            {
                "X-RateLimit-Limit": "1, 15000",
                "X-RateLimit-Remaining": "0, 14523",
                "X-RateLimit-Reset": "1, 1234567",
            },
            Learned(0, 1, 1),
        ),
        # Shopify
        ({"X-Shopify-Shop-Api-Call-Limit": "32/40"}, Learned(8, 0.5, 40)),
        ({"X-Shopify-Shop-Api-Call-Limit": "40/40"}, Learned(0, 0.5, 40)),
        # a reset that has been
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(EPOCH - 5)}, Learned(0, 0)),
        # months away
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "5000000"}, Learned(0, MAX_WAIT)),
    ],
)
def test_headers_of_well_known_providers(headers: dict[str, str], expected: Learned) -> None:
    assert read(headers) == expected


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "2.0"}, 2.0),
        ({"Retry-After": "Mon, 23 Nov 2026 12:02:00 GMT"}, 120.0),
        ({"Retry-After": "Mon, 23 Nov 2026 11:02:00 GMT"}, 0.0),
        ({"Retry-After": "999999999"}, MAX_WAIT),
        ({"Retry-After": "7", "Retry-After-Ms": "6500"}, 6.5),
        ({"Retry-After": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}, 60.0),
        ({"Retry-After": "60", "X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "5"}, 60.0),
    ],
)
@pytest.mark.parametrize("status", [403, 429, 503, 529])
def test_a_refusal_pauses_for_as_long_as_it_says(
    headers: dict[str, str], seconds: float, status: int
) -> None:
    assert pause_of(read(headers, status)) == seconds


@pytest.mark.parametrize("status", [200, 202, 301, 404, None])
def test_a_retry_after_that_is_about_one_resource_pauses_nothing(status: int | None) -> None:
    assert read({"Retry-After": "120"}, status) is None


def test_a_429_that_names_only_its_reset_has_nothing_left() -> None:
    headers = {"X-RateLimit-Limit": "10", "X-RateLimit-Reset": "30"}
    assert read(headers, 429) == Learned(0, 30, 10)
    assert read(headers, 200) == Learned(None, 30, 10)
    assert pause_of(read(headers, 200)) == 0


def test_moments_are_read_by_the_providers_clock() -> None:
    headers = {
        "Date": "Mon, 23 Nov 2026 15:00:00 GMT",  # ours is three hours behind
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(EPOCH + 3 * 3600 + 10),
    }
    assert read(headers) == Learned(0, 10)
    headers = {"Date": "Mon, 23 Nov 2026 15:00:00 GMT", "Retry-After": "Mon, 23 Nov 2026 15:00:20 GMT"}
    assert pause_of(read(headers, 429)) == 20


def test_something_left_pauses_nothing_and_neither_does_a_zero_without_an_end() -> None:
    assert pause_of(None) == 0
    assert pause_of(Learned(1, 60)) == 0
    assert pause_of(Learned(None, 60)) == 0
    assert pause_of(Learned(0, None)) == 0
    assert pause_of(Learned(0, 60)) == 60


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"X-RateLimit-Limit": "100"},
        {"X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "60"},
        {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"},
        {"X-RateLimit-Limit": "-1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"},
        {"RateLimit": "", "RateLimit-Policy": ""},
        {"RateLimit": '";;;,,,"'},
        {"RateLimit": ",;=\"'\\"},
        {"RateLimit-Remaining": "many"},
        {"X-RateLimit-Remaining": "²"},
        {"X-RateLimit-Remaining": "٣"},
        {"X-RateLimit-Remaining": "1e5"},
        {"X-RateLimit-Remaining": "nan"},
        {"X-RateLimit-Remaining": "0x10"},
        {"X-RateLimit-Remaining": "9" * 400},
        {"X-RateLimit-Reset": "soon"},
        {"X-RateLimit-Reset": "9999-99-99T99:99:99Z"},
        {"X-RateLimit-Reset": "0001-01-01T00:00:00+23:59"},
        {"X-Shopify-Shop-Api-Call-Limit": "0/0"},
        {"X-Shopify-Shop-Api-Call-Limit": "forty"},
        {"Retry-After": "later"},
        {"Retry-After": "Mon, 99 Nov 99999 99:99:99 GMT"},
        {"Retry-After": ""},
        {"Retry-After": "\x00"},
    ],
)
def test_garbage_teaches_nothing(headers: dict[str, str]) -> None:
    assert read(headers, 429) is None
    assert read(headers, 200) is None


def test_noise_never_raises() -> None:
    rng = random.Random(5)
    names = ["ratelimit", "ratelimit-policy", "ratelimit-reset", "x-ratelimit-remaining", "x-ratelimit-reset", "x-rate-limit-limit", "retry-after", "date", "x-ratelimit-reset-after", "x-shopify-shop-api-call-limit", "x-rate-limit-", "ratelimit-", "x-a-ratelimit-b-reset"]  # fmt: skip
    pieces = ["0", "1", "9999999999999", '"', "\\", ";", ",", "=", "r", "t", "w", "-", ":", "T", "Z", ".", " ", "GMT", "Mon", "2026-11-23", "é", "\ud800", "\x00", "ms", "s", "/"]  # fmt: skip
    for _ in range(5000):
        headers = {name: "".join(rng.choices(pieces, k=rng.randrange(12))) for name in rng.sample(names, 5)}
        learned = learn(headers, status=rng.choice([200, 429]), now=NOW)
        assert 0 <= pause_of(learned) <= MAX_WAIT


@pytest.mark.parametrize("value", ['"\\' * 16_000, '"\\' * 499, "1," * 16_000, "1," * 499, "1ms" * 333])
def test_long_garbage_is_read_quickly(value: str) -> None:
    names = [
        "ratelimit",
        "ratelimit-policy",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "retry-after",
        "date",
    ]
    began = time.process_time()
    learn(dict.fromkeys(names, value), status=429, now=NOW)
    assert time.process_time() - began < 0.5
