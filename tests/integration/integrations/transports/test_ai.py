"""The transport `ai_service`, against services in the shapes of OpenAI and Anthropic."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from hub.core.secret import Secret
from hub.integrations.auth import registry
from hub.integrations.auth.mode import Credentials
from hub.integrations.transports.ai import AiTransport
from hub.integrations.transports.metered import MeteredOutcome
from hub.net.outcome import ErrorClass, Outcome
from tests.integration.integrations.auth.served import Served, serving
from tests.integration.integrations.transports.ai_service import (
    DATED,
    KEY,
    MODEL,
    AiService,
    Answer,
    anthropic_error,
    json_answer,
    openai_error,
    stream_answer,
)
from tests.integration.integrations.transports.calls import Caller
from tests.integration.integrations.transports.conformance import Conformance

TRANSPORT = AiTransport()
DIALECTS = ["openai_chat", "openai_compatible", "openai_responses", "anthropic_messages"]
OPERATIONS: dict[str, Any] = {
    "ask": {"parameters": {"max_tokens": 500}, "system": "Be kind."},
    "ask_streaming": {"parameters": {"max_tokens": 500}, "system": "Be kind.", "stream": True, "raw": True},
    "ask_raw": {"parameters": {"max_tokens": 500}, "raw": True},
    "embed": {"action": "embeddings", "model": "tiny-embedding"},
    "models": {"action": "list_models"},
}
PRICES = {
    MODEL: {"input_per_million": 2, "output_per_million": 8, "cached_input_per_million": 0.5},
    "tiny-embedding": {"input_per_million": 1, "output_per_million": 0},
}
WEATHER = {
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def credentials(dialect: str, key: str = KEY) -> Credentials:
    parameters: dict[str, Any] = {"mode": "bearer"}
    secrets = {"token": Secret(key)}
    if dialect == "anthropic_messages":
        parameters = {"mode": "api_key", "in": "header", "name": "x-api-key", "prefix": ""}
        secrets = {"key": Secret(key)}
    sign = registry.MODES[parameters["mode"]].sign
    assert sign is not None
    return Credentials(parameters["mode"], parameters, secrets, sign(parameters, secrets))


class _Suite(Conformance):
    transport = TRANSPORT
    scheme = "http"
    path = "/v1"
    large: ClassVar = ("ask", {"messages": [{"role": "user", "content": "large"}]})
    small: ClassVar = ("ask", {"messages": [{"role": "user", "content": "hi"}]})

    @pytest.fixture(scope="class")
    @classmethod
    def port(cls) -> Iterator[int]:
        with serving(AiService()) as served:
            yield int(served.url.rpartition(":")[2])


class TestConformanceOfWholeAnswers(_Suite):
    settings = TRANSPORT.settings_form(dialect="openai_chat", model=MODEL)
    operations: ClassVar = {"ask": TRANSPORT.operation_form()}
    good = credentials("openai_chat")
    bad = credentials("openai_chat", "canary-wrong-key-0123456789")


class TestConformanceOfStreams(_Suite):
    settings = TRANSPORT.settings_form(dialect="anthropic_messages", model=MODEL)
    operations: ClassVar = {"ask": TRANSPORT.operation_form(stream=True, parameters={"max_tokens": 9})}
    good = credentials("anthropic_messages")
    bad = credentials("anthropic_messages", "canary-wrong-key-0123456789")


@pytest.fixture
def service() -> AiService:
    return AiService()


@pytest.fixture
def served(service: AiService) -> Iterator[Served]:
    with serving(service) as served:
        yield served


Make = Callable[[str], Caller]


@pytest.fixture
def make(served: Served) -> Iterator[Make]:
    made: list[Caller] = []

    def caller(dialect: str) -> Caller:
        settings = {"dialect": dialect, "model": MODEL, "prices": PRICES}
        made.append(
            Caller(TRANSPORT, f"{served.url}/v1", credentials(dialect), OPERATIONS, settings=settings)
        )
        return made[-1]

    yield caller
    for one in made:
        one.session.close()


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def ask(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [user(text)], **more}


def body_of(outcome: Outcome) -> Any:
    assert outcome.ok, outcome.message
    return json.loads(outcome.body)


@pytest.mark.parametrize("operation", ["ask", "ask_streaming"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_has_one_form_whoever_gives_it(make: Make, dialect: str, operation: str) -> None:
    outcome = make(dialect).call(operation, ask("hello"))
    result = body_of(outcome)
    result.pop("raw", None)
    assert result.pop("messages")
    counted: dict[str, float] = {
        "input_tokens": 100,
        "output_tokens": 20,
        "total_tokens": 120,
        "cached_input_tokens": 40,
    }
    if dialect == "anthropic_messages":
        counted["cache_write_tokens"] = 10
    counted["cost"] = (60 * 2 + 40 * 0.5 + 20 * 8) / 1_000_000
    uncounted = dialect == "openai_compatible" and operation == "ask_streaming"
    assert result == {
        "id": {"anthropic_messages": "msg_1", "openai_responses": "resp_1"}.get(dialect, "chatcmpl-1"),
        "model": DATED,
        "text": "You said: hello 🙂",
        "tool_calls": [],
        "finish_reason": "stop",
        "usage": None if uncounted else counted,
    }
    assert isinstance(outcome, MeteredOutcome)
    assert outcome.usage == ({} if uncounted else counted)
    assert outcome.headers["content-type"] == "application/json"
    assert "transfer-encoding" not in outcome.headers


@pytest.mark.parametrize("text", ["hello", "weather Oslo Rome", "cut short", ""])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_makes_the_answer_that_would_have_come_without_it(
    make: Make, dialect: str, text: str
) -> None:
    """The service's own answer too, but for what its streams do not say."""
    caller = make(dialect)
    given = ask(text, tools=[WEATHER])
    if dialect == "anthropic_messages":
        given["parameters"] = {"thinking": {"type": "enabled", "budget_tokens": 100}}
    whole, streamed = (body_of(caller.call(name, given)) for name in ("ask_raw", "ask_streaming"))
    if dialect.startswith("openai_c"):
        for result in (whole, streamed):
            for holder in (result["raw"]["choices"][0]["message"], result["messages"][0]):
                holder.pop("refusal", None)
                holder.pop("annotations", None)
            result["raw"]["choices"][0].pop("logprobs", None)
    if dialect == "openai_compatible":
        whole["usage"] = None
        whole["raw"].pop("usage")
    whole["raw"].pop("instructions", None)
    streamed["raw"].pop("instructions", None)
    assert streamed == whole


@pytest.mark.parametrize("operation", ["ask", "ask_streaming"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_tools_are_called_and_their_results_sent_back(
    make: Make, service: AiService, dialect: str, operation: str
) -> None:
    caller = make(dialect)
    first = body_of(caller.call(operation, ask("weather Oslo Rome", tools=[WEATHER])))
    assert first["text"] == "Let me look."
    assert first["finish_reason"] == "tool_calls"
    assert first["tool_calls"] == [
        {"id": "call_0", "name": "weather", "arguments": {"city": "Oslo", "units": "°C"}},
        {"id": "call_1", "name": "weather", "arguments": {"city": "Rome", "units": "°C"}},
    ]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": f"{call['arguments']['city']}: rain"}
        for call in first["tool_calls"]
    ]
    messages = [user("weather Oslo Rome"), *first["messages"], *results]
    second = body_of(caller.call(operation, {"messages": messages, "tools": [WEATHER]}))
    assert second["text"].endswith("Rome: rain 🙂")
    sent = service.bodies[-1]
    if dialect == "anthropic_messages":
        assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
        assert [block["tool_use_id"] for block in sent["messages"][2]["content"]] == ["call_0", "call_1"]
        assert sent["tools"] == [
            {"name": "weather", "description": WEATHER["description"], "input_schema": WEATHER["parameters"]}
        ]
    elif dialect == "openai_responses":
        assert [item.get("type") for item in sent["input"]] == [
            None,
            "message",
            "function_call",
            "function_call",
            "function_call_output",
            "function_call_output",
        ]
        assert sent["tools"] == [{"type": "function", "strict": False, **WEATHER}]
    else:
        assert [m["role"] for m in sent["messages"]] == ["system", "user", "assistant", "tool", "tool"]
        assert sent["tools"] == [{"type": "function", "function": WEATHER}]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_was_cut_says_so(make: Make, dialect: str) -> None:
    assert body_of(make(dialect).call("ask", ask("cut short")))["finish_reason"] == "length"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_the_model_is_told_first_has_its_place(make: Make, service: AiService, dialect: str) -> None:
    caller = make(dialect)
    caller.call("ask", ask("a"))
    caller.call("ask", {"messages": [{"role": "system", "content": "Be brief."}, user("a")], "system": "Be."})
    first, second = service.bodies
    if dialect == "anthropic_messages":
        assert first["system"] == [{"type": "text", "text": "Be kind."}]
        assert [block["text"] for block in second["system"]] == ["Be.", "Be brief."]
        assert second["messages"] == [user("a")]
    elif dialect == "openai_responses":
        assert first["instructions"] == "Be kind."
        assert second["instructions"] == "Be."
    else:
        assert first["messages"][0] == {"role": "system", "content": "Be kind."}
        assert [m["content"] for m in second["messages"]] == ["Be.", "Be brief.", "a"]


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages"])
def test_a_body_of_ones_own_is_sent_as_it_is(make: Make, service: AiService, dialect: str) -> None:
    caller = make(dialect)
    own = {"messages": [user("a")], "max_tokens": 3, "stream": True, "metadata": {"user_id": "x"}}
    result = body_of(caller.call("ask", {"body": own}))
    assert result["text"] == "You said: a 🙂"
    assert service.bodies[-1] == {**own, "model": MODEL}


def test_anthropic_gets_its_version_and_its_key(make: Make, service: AiService) -> None:
    body_of(make("anthropic_messages").call("ask", ask("a")))
    assert service.headers[-1]["anthropic-version"] == "2023-06-01"
    assert service.headers[-1]["x-api-key"] == KEY
    assert "authorization" not in service.headers[-1]


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_compatible", "openai_responses"])
def test_embeddings_come_in_the_order_of_their_texts(make: Make, service: AiService, dialect: str) -> None:
    outcome = make(dialect).call("embed", {"input": ["a", "bb"], "parameters": {"dimensions": 2}})
    usage = {"input_tokens": 7, "output_tokens": 0, "total_tokens": 7, "cost": 0.000007}
    assert body_of(outcome) == {"model": DATED, "embeddings": [[1.0, 0.5], [2.0, 0.5]], "usage": usage}
    assert isinstance(outcome, MeteredOutcome)
    assert outcome.usage == usage
    assert service.bodies[-1] == {"model": "tiny-embedding", "input": ["a", "bb"], "dimensions": 2}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_models_are_listed(make: Make, dialect: str) -> None:
    assert body_of(make(dialect).call("models")) == {"models": [DATED], "more": False}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_probe_lists_the_models(make: Make, service: AiService, dialect: str) -> None:
    caller = make(dialect)
    assert body_of(caller.probe()) == {"models": [DATED], "more": False}
    assert service.paths[-1].startswith("/v1/models")
    caller.credentials = credentials(dialect, "wrong-key-0123456789")
    assert caller.probe().error_class is ErrorClass.UNAUTHORIZED


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_service_without_a_list_of_models_is_there_all_the_same(
    make: Make, service: AiService, dialect: str
) -> None:
    service.script = [json_answer({"detail": "Not Found"}, "404 Not Found")]
    assert make(dialect).probe().ok == (dialect == "openai_compatible")


ERRORS: dict[str, tuple[str, Answer, ErrorClass]] = {
    "key": ("openai_chat", openai_error(401, "invalid_api_key"), ErrorClass.UNAUTHORIZED),
    "limit": (
        "openai_chat",
        openai_error(429, "rate_limit_exceeded", "requests"),
        ErrorClass.RATE_LIMITED,
    ),
    "quota": (
        "openai_chat",
        openai_error(429, "insufficient_quota", "insufficient_quota"),
        ErrorClass.PROVIDER_ERROR,
    ),
    "bad": ("openai_chat", openai_error(400, "context_length_exceeded"), ErrorClass.HTTP_4XX),
    "broken": ("openai_chat", openai_error(500, None, "server_error"), ErrorClass.HTTP_5XX),
    "busy": ("openai_chat", openai_error(503, None, "overloaded"), ErrorClass.PROVIDER_BUSY),
    "plain": ("openai_chat", ("503 Busy", {"Content-Type": "text/html"}, [b"<p>"]), ErrorClass.PROVIDER_BUSY),
    "proxied": (
        "openai_compatible",
        json_answer({"error": {"code": 429, "message": "Slow down."}}),
        ErrorClass.RATE_LIMITED,
    ),
    "a limit": ("anthropic_messages", anthropic_error(429, "rate_limit_error"), ErrorClass.RATE_LIMITED),
    "a busy": ("anthropic_messages", anthropic_error(529, "overloaded_error"), ErrorClass.PROVIDER_BUSY),
    "a broken": ("anthropic_messages", anthropic_error(500, "api_error"), ErrorClass.HTTP_5XX),
    "a billing": ("anthropic_messages", anthropic_error(402, "billing_error"), ErrorClass.PROVIDER_ERROR),
    "a right": ("anthropic_messages", anthropic_error(403, "permission_error"), ErrorClass.HTTP_4XX),
    "r failed": (
        "openai_responses",
        json_answer(
            {
                "id": "r",
                "status": "failed",
                "output": [],
                "error": {"code": "rate_limit_exceeded", "message": "Slow."},
            }
        ),
        ErrorClass.RATE_LIMITED,
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_has_the_right_class(make: Make, service: AiService, name: str) -> None:
    dialect, answer, error_class = ERRORS[name]
    service.script = [answer]
    outcome = make(dialect).call("ask", ask("a"))
    assert outcome.error_class is error_class, outcome
    assert outcome.message.startswith("The service answered") or name == "plain"
    assert outcome.message.endswith(".")


def test_the_services_sentence_is_told_without_the_key(make: Make, service: AiService) -> None:
    error = {"message": f"Incorrect API key provided: {KEY}.\n", "type": "x", "code": "invalid_api_key"}
    service.script = [json_answer({"error": error}, "401 No")]
    outcome = make("openai_chat").call("ask", ask("a"))
    text = "The service answered: Incorrect API key provided: *** (x, invalid_api_key)."
    assert outcome.message == text


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "7"}, "7"),
        ({"Retry_After_Ms": "1500"}, "2"),
        ({"Retry_After": "0.2"}, "1"),
        ({"Retry_After": "7", "Retry_After_Ms": "900"}, "7"),
        ({"Retry_After_Ms": "soon"}, None),
    ],
)
def test_the_wait_that_the_service_wants_is_kept(
    make: Make, service: AiService, headers: dict[str, str], seconds: str | None
) -> None:
    service.script = [openai_error(429, "rate_limit_exceeded", **headers)]
    outcome = make("openai_chat").call("ask", ask("a"))
    assert outcome.error_class is ErrorClass.RATE_LIMITED
    assert outcome.headers.get("retry-after") == seconds


STARTED: Any = (
    "message_start",
    {
        "type": "message_start",
        "message": {
            "id": "m",
            "model": DATED,
            "role": "assistant",
            "content": [],
            "usage": {"input_tokens": 9, "output_tokens": 1},
        },
    },
)
BLOCK: Any = (
    "content_block_start",
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
)
CHUNK = (
    'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
)
LAST = 'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


def failing(kind: str) -> Any:
    return ("error", {"type": "error", "error": {"type": kind, "message": "No."}})


STREAMS: dict[str, tuple[str, Answer, ErrorClass]] = {
    "overloaded": (
        "anthropic_messages",
        stream_answer(STARTED, BLOCK, failing("overloaded_error")),
        ErrorClass.PROVIDER_BUSY,
    ),
    "failed": ("anthropic_messages", stream_answer(STARTED, failing("api_error")), ErrorClass.HTTP_5XX),
    "invalid": (
        "anthropic_messages",
        stream_answer(STARTED, failing("invalid_request_error")),
        ErrorClass.PROVIDER_ERROR,
    ),
    "cut": ("anthropic_messages", stream_answer(STARTED, BLOCK), ErrorClass.RESET),
    "empty": ("anthropic_messages", stream_answer(), ErrorClass.RESET),
    "delta of nothing": (
        "anthropic_messages",
        stream_answer(
            STARTED,
            (
                "content_block_delta",
                {"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta"}},
            ),
        ),
        ErrorClass.PROTOCOL,
    ),
    "no JSON": (
        "anthropic_messages",
        stream_answer("event: message_start\ndata: {\n\n"),
        ErrorClass.PROTOCOL,
    ),
    "no object": ("openai_chat", stream_answer("data: 3\n\n"), ErrorClass.PROTOCOL),
    "error chunk": (
        "openai_chat",
        stream_answer(
            CHUNK, 'data: {"error":{"message":"No.","type":"server_error","code":"rate_limit_exceeded"}}\n\n'
        ),
        ErrorClass.RATE_LIMITED,
    ),
    "error text": (
        "openai_compatible",
        stream_answer(CHUNK, 'data: {"error":"No."}\n\n'),
        ErrorClass.PROVIDER_ERROR,
    ),
    "without mark": ("openai_chat", stream_answer(CHUNK, LAST), ErrorClass.RESET),
    "without end": ("openai_compatible", stream_answer(CHUNK), ErrorClass.RESET),
    "cut in an event": ("openai_chat", stream_answer(CHUNK, LAST, "data: [DO"), ErrorClass.RESET),
    "no choices": ("openai_chat", stream_answer("data: [DONE]\n\n"), ErrorClass.PROTOCOL),
    "wrong types": (
        "openai_chat",
        stream_answer('data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":3}}]}}]}\n\n'),
        ErrorClass.PROTOCOL,
    ),
    "r error": (
        "openai_responses",
        stream_answer(
            (
                "error",
                {
                    "type": "error",
                    "code": "server_error",
                    "message": "No.",
                    "param": None,
                    "sequence_number": 1,
                },
            )
        ),
        ErrorClass.HTTP_5XX,
    ),
    "r failed": (
        "openai_responses",
        stream_answer(
            (
                "response.failed",
                {
                    "type": "response.failed",
                    "response": {"error": {"code": "rate_limit_exceeded", "message": "No."}},
                },
            )
        ),
        ErrorClass.RATE_LIMITED,
    ),
    "r cut": (
        "openai_responses",
        stream_answer(("response.created", {"type": "response.created", "response": {}})),
        ErrorClass.RESET,
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_does_not_end_well_has_the_right_class(
    make: Make, service: AiService, name: str
) -> None:
    dialect, answer, error_class = STREAMS[name]
    service.script = [answer]
    outcome = make(dialect).call("ask_streaming", ask("a"))
    assert outcome.error_class is error_class, outcome
    assert outcome.message.endswith(".")
    assert outcome.status == 200


COUNTING_CHUNK = CHUNK.replace('"id"', '"usage":{"prompt_tokens":9,"completion_tokens":2},"id"').replace(
    '"m"', f'"{MODEL}"'
)
COUNTED_RESPONSE = {"model": MODEL, "usage": {"input_tokens": 9, "output_tokens": 2}}
R_FAILED = {"type": "response.failed", "response": {**COUNTED_RESPONSE, "error": {"code": "slow_down"}}}
STARTED_HERE = (
    "message_start",
    {"type": "message_start", "message": {**COUNTED_RESPONSE, "content": []}},
)
CUTS: dict[str, tuple[str, list[str | tuple[str, Any]], ErrorClass]] = {
    "overloaded": ("anthropic_messages", [failing("overloaded_error")], ErrorClass.PROVIDER_BUSY),
    "broken event": ("anthropic_messages", ["data: {\n\n"], ErrorClass.PROTOCOL),
    "end": ("anthropic_messages", [BLOCK], ErrorClass.RESET),
    "error chunk": (
        "openai_chat",
        ['data: {"error":{"message":"Overloaded.","code":"server_is_overloaded"}}\n\n'],
        ErrorClass.PROVIDER_BUSY,
    ),
    "error event": (
        "openai_chat",
        [("error", {"message": "Overloaded.", "code": 503})],
        ErrorClass.PROVIDER_BUSY,
    ),
    "compatible": (
        "openai_compatible",
        [
            'data: {"error":{"message":"No.","code":429},"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n'
        ],
        ErrorClass.RATE_LIMITED,
    ),
    "no JSON": ("openai_compatible", ["data: gone\n\n"], ErrorClass.PROTOCOL),
    "r failed": ("openai_responses", [("response.failed", R_FAILED)], ErrorClass.PROVIDER_BUSY),
    "r error event": (
        "openai_responses",
        [("error", {"type": "error", "code": "server_is_overloaded", "message": "No."})],
        ErrorClass.PROVIDER_BUSY,
    ),
}
FIRST: dict[str, str | tuple[str, Any]] = {
    "openai_chat": COUNTING_CHUNK,
    "openai_compatible": COUNTING_CHUNK,
    "openai_responses": (
        "response.in_progress",
        {"type": "response.in_progress", "response": COUNTED_RESPONSE},
    ),
    "anthropic_messages": STARTED_HERE,
}


@pytest.mark.parametrize("name", CUTS)
def test_what_a_cut_stream_has_cost_is_known(make: Make, service: AiService, name: str) -> None:
    dialect, events, error_class = CUTS[name]
    service.script = [stream_answer(FIRST[dialect], *events)]
    outcome = make(dialect).call("ask_streaming", ask("a"))
    assert outcome.error_class is error_class, outcome
    assert isinstance(outcome, MeteredOutcome)
    assert outcome.usage == {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11, "cost": 0.000034}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", [ErrorClass.PROTOCOL, ErrorClass.TOO_LARGE])
def test_what_a_stream_has_cost_is_known_when_the_connection_or_the_cap_cuts_it(
    make: Make, service: AiService, dialect: str, fault: ErrorClass
) -> None:
    status, headers, pieces = stream_answer(FIRST[dialect], ": " + "x" * 3000 + "\n\n")
    service.script = [(status, {**headers, "Content-Length": "9999"}, pieces)]
    outcome = make(dialect).call(
        "ask_streaming", ask("a"), max_bytes=2000 if fault is ErrorClass.TOO_LARGE else 100_000
    )
    assert outcome.error_class is fault, outcome
    assert isinstance(outcome, MeteredOutcome)
    assert outcome.usage["input_tokens"] == 9
    assert outcome.usage["cost"] == 0.000034


def test_what_an_answer_that_makes_no_sense_has_cost_is_known(make: Make, service: AiService) -> None:
    service.script = [json_answer({**COUNTED_RESPONSE, "output": 3})]
    outcome = make("openai_responses").call("ask", ask("a"))
    assert outcome.error_class is ErrorClass.PROTOCOL
    assert isinstance(outcome, MeteredOutcome)
    assert outcome.usage["total_tokens"] == 11


def test_a_compatible_service_may_leave_out_the_mark_at_the_end(make: Make, service: AiService) -> None:
    service.script = [stream_answer(": remark\n\n", CHUNK, CHUNK, LAST)]
    result = body_of(make("openai_compatible").call("ask_streaming", ask("a")))
    assert (result["text"], result["finish_reason"], result["usage"]) == ("aa", "stop", None)
    assert "stream_options" not in service.bodies[-1]


def test_a_service_may_not_stream_although_it_was_asked(make: Make, service: AiService) -> None:
    message = {"role": "assistant", "content": "whole"}
    service.script = [json_answer({"choices": [{"message": message, "finish_reason": "stop"}]})]
    result = body_of(make("openai_compatible").call("ask_streaming", ask("a")))
    assert (result["text"], result["model"], result["id"]) == ("whole", MODEL, "")


def test_halves_of_a_character_are_put_together(make: Make, service: AiService) -> None:
    halves = [CHUNK.replace('"a"', f'"{half}"') for half in ("\\ud83d", "\\ude42", "\\ud83d")]
    service.script = [stream_answer(*halves, LAST, "data: [DONE]\n\n")]
    assert body_of(make("openai_chat").call("ask_streaming", ask("a")))["text"] == "🙂\ufffd"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":[{"message":3}]}',
        b'{"choices":[{"message":{"content":{}},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"content":"a","x":NaN},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"content":"a","x":1e999},"finish_reason":"stop"}]}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_answer_is_a_breach_of_protocol(make: Make, service: AiService, content: bytes) -> None:
    service.script = [("200 OK", {"Content-Type": "application/json"}, [content])]
    outcome = make("openai_chat").call("ask", ask("a"))
    assert outcome.error_class is ErrorClass.PROTOCOL
    assert outcome.message == "The answer is not what such a service answers."


def test_arguments_that_were_cut_stay_a_text(make: Make, service: AiService) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    service.script = [json_answer({"choices": [{"message": message, "finish_reason": "length"}]})]
    result = body_of(make("openai_chat").call("ask", ask("a")))
    assert result["tool_calls"] == [{"id": "c", "name": "f", "arguments": '{"a'}]
    assert result["text"] == ""


def test_a_result_may_be_longer_than_its_answer(make: Make) -> None:
    caller = make("openai_chat")
    whole = len(caller.call("ask_raw", ask("a")).body)
    outcome = caller.call("ask_raw", ask("a"), max_bytes=whole - 1)
    assert outcome.error_class is ErrorClass.TOO_LARGE
    assert len(outcome.body) == whole - 1
