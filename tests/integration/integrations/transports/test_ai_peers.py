"""The fake services are shaped as the real ones: their official libraries say so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic._streaming import SSEDecoder as Theirs
from anthropic.types import Message, RawMessageStreamEvent
from openai._streaming import SSEDecoder as AlsoTheirs
from openai.types import CreateEmbeddingResponse
from openai.types import Model as OpenAiModel
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from hub.integrations.transports.ai.events import events_of
from tests.integration.integrations.auth.served import serving
from tests.integration.integrations.transports.ai_service import DATED, KEY, MODEL, AiService

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}


@pytest.fixture
def url() -> Iterator[str]:
    with serving(AiService()) as served:
        yield served.url


@pytest.fixture
def gpt(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0) as client:
        yield client


def strictly(model: Any, value: Any) -> Any:
    """The libraries themselves are lenient about what is missing or has another type."""
    return TypeAdapter(model).validate_python(value.model_dump(mode="json"))


@pytest.mark.parametrize("text", ["hi", "weather Oslo Rome", "cut short"])
def test_chat_completions(gpt: openai.OpenAI, text: str) -> None:
    function: Any = {"name": "weather", "parameters": PARAMETERS}
    asked: Any = {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "tools": [{"type": "function", "function": function}],
    }
    plain = strictly(ChatCompletion, gpt.chat.completions.create(**asked))
    options: Any = {"include_usage": True}
    with gpt.chat.completions.create(**asked, stream=True, stream_options=options) as stream:
        for chunk in stream:
            strictly(ChatCompletionChunk, chunk)
    assert plain.choices[0].message.content
    assert plain.usage.total_tokens == 120
    assert len(plain.choices[0].message.tool_calls or []) == (2 if text.startswith("weather") else 0)


@pytest.mark.parametrize("text", ["hi", "weather Oslo Rome", "cut short"])
def test_responses(gpt: openai.OpenAI, text: str) -> None:
    tool = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}
    asked: Any = {"model": MODEL, "input": [{"role": "user", "content": text}], "tools": [tool]}
    plain = strictly(Response, gpt.responses.create(**asked))
    with gpt.responses.create(**asked, stream=True) as stream:
        for event in stream:
            strictly(ResponseStreamEvent, event)
    assert plain.output_text.startswith(("You said", "Let me", "cut s"))


@pytest.mark.parametrize("text", ["hi", "weather Oslo Rome", "cut short"])
def test_messages(claude: anthropic.Anthropic, text: str) -> None:
    asked: Any = {
        "model": MODEL,
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": text}],
        "tools": [{"name": "weather", "input_schema": PARAMETERS}],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    plain = strictly(Message, claude.messages.create(**asked))
    with claude.messages.create(**asked, stream=True) as stream:
        for event in stream:
            strictly(RawMessageStreamEvent, event)
    with claude.messages.stream(**asked) as collected:
        final = collected.get_final_message().model_dump(exclude_none=True)
    assert final["content"] == plain.model_dump(exclude_none=True)["content"]


def test_embeddings_and_models(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    found = gpt.embeddings.create(model=MODEL, input=["a", "bb"], encoding_format="float")
    assert len(strictly(CreateEmbeddingResponse, found).data) == 2
    assert [strictly(OpenAiModel, model).id for model in gpt.models.list()] == [DATED]
    assert [model.id for model in claude.models.list(limit=1000)] == [DATED]


def test_errors(url: str) -> None:
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0) as gpt,
        pytest.raises(openai.AuthenticationError, match="It did not work"),
    ):
        gpt.models.list()
    with (
        anthropic.Anthropic(base_url=url, api_key="wrong", max_retries=0) as claude,
        pytest.raises(anthropic.AuthenticationError, match="It did not work"),
    ):
        claude.models.list()


def test_both_libraries_read_streams_as_we_do() -> None:
    stream = (
        b": a remark\n\nevent: one\ndata: 1\n\ndata: 2a\ndata: 2b\n\r\n"
        b"event: three\rdata:3\r\rid: x\nretry: 5\ndata\n\ndata: cut off\n"
    )
    ours = list(events_of(stream))
    assert ours == [("one", "1"), ("message", "2a\n2b"), ("three", "3"), ("message", "")]
    for decoder in (Theirs(), AlsoTheirs()):
        theirs = [(event.event or "message", event.data) for event in decoder.iter_bytes(iter([stream]))]
        assert [found for found in theirs if found[1]][:3] == ours[:3]
