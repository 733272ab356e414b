"""Language models over HTTP: one form of question and answer for the shapes that services speak.

`forms` says what settings and operations look like, `asking` makes an input into a request, and each dialect
(`openai_chat`, `openai_responses`, `anthropic_messages`) writes questions and reads answers; `events` and a dialect's
collector make a stream into the answer that would have come without one. `verdicts` says what an error means, `usage`
what was counted and what it costs.
"""

from hub.integrations.transports.ai.transport import AiTransport

__all__ = ["AiTransport"]
