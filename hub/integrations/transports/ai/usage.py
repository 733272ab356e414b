"""What a service counted, and what it costs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.transports.ai.forms import Price

_MOST = 10**12


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer.

    Args:
        input_tokens: all of the question, kept ones included.
        output_tokens: of the answer, those of its reasoning included.
        cached_input_tokens: of the question, those that the service had kept.
        cache_write_tokens: of the question, those that it keeps from now on.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0

    def told(self, price: Price | None) -> dict[str, float]:
        """As it stands in a result; with a price, its cost too."""
        found: dict[str, float] = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
        }
        if self.cached_input_tokens:
            found["cached_input_tokens"] = self.cached_input_tokens
        if self.cache_write_tokens:
            found["cache_write_tokens"] = self.cache_write_tokens
        if price is not None:
            found["cost"] = self.cost(price)
        return found

    def cost(self, price: Price) -> float:
        """In the currency of the price."""
        plain = max(self.input_tokens - self.cached_input_tokens - self.cache_write_tokens, 0)
        cached, write = price.cached_input_per_million, price.cache_write_per_million
        total = (
            plain * price.input_per_million
            + self.cached_input_tokens * (price.input_per_million if cached is None else cached)
            + self.cache_write_tokens * (price.input_per_million if write is None else write)
            + self.output_tokens * price.output_per_million
        )
        return round(total / 1_000_000, 10)


def price_of(prices: Mapping[str, Price], answered: str, asked: str) -> Price | None:
    """The price of an answer: services answer with a model's dated name, and prices are mostly known by its short one.

    Args:
        prices: by model.
        answered: the model that the answer names.
        asked: the model that was asked.
    """
    return prices.get(answered) or prices.get(asked)


def count(value: Any) -> int:
    """A number of tokens; 0 when it is missing or makes no sense."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else 0
