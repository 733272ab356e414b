"""A service in the shapes of OpenAI and Anthropic, written from their public descriptions.

Sources: https://platform.openai.com/docs/api-reference (chat, responses, embeddings, models) and
https://platform.claude.com/docs/en/api (messages, streaming, errors). That it is shaped as they are is judged by their
own libraries, in `test_ai_peers.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.integration.integrations.transports.conformance import LARGE_BYTES

KEY = "canary-ai-key-0123456789abcdef"
MODEL = "tiny-1"
DATED = "tiny-1-2026-01-01"
_CREATED = 1_767_225_600

Body = dict[str, Any]
#: Status, headers, and the pieces that are sent one by one.
Answer = tuple[str, dict[str, str], list[bytes]]


class AiService:
    """A WSGI application. What the last message says decides what is answered (`_reply`).

    Attributes:
        bodies: of every question.
        headers: of every request.
        paths: and queries of every request.
        script: given in place of the next answers.
    """

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.script: list[Answer] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
        self.paths.append(f"{path}?{query}" if query else path)
        headers = {
            name[5:].lower().replace("_", "-"): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        self.headers.append(headers)
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = json.loads(content) if content else {}
        self.bodies.append(body)
        status, sent, pieces = self._answer(environ["REQUEST_METHOD"], path, headers, body)
        if len(pieces) == 1:
            sent = {**sent, "Content-Length": str(len(pieces[0]))}
        start_response(status, list(sent.items()))
        return iter(pieces)

    def _answer(self, method: str, path: str, headers: dict[str, str], body: Body) -> Answer:
        if self.script:
            return self.script.pop(0)
        anthropic = "anthropic-version" in headers or path == "/v1/messages"
        # Anthropic takes its key in either header.
        key = headers.get("authorization", "").removeprefix("Bearer ")
        if anthropic:
            key = headers.get("x-api-key", key)
        if key != KEY:
            return anthropic_error(401, "authentication_error") if anthropic else openai_error(401, code=None)
        if anthropic and "anthropic-version" not in headers:
            return anthropic_error(400, "invalid_request_error")
        known = {
            ("POST", "/v1/chat/completions"): _chat,
            ("POST", "/v1/responses"): _responses,
            ("POST", "/v1/messages"): _messages,
            ("POST", "/v1/embeddings"): _embeddings,
            ("GET", "/v1/models"): _anthropic_models if anthropic else _openai_models,
        }.get((method, path))
        return openai_error(404, code="unknown_url") if known is None else known(body)


def json_answer(value: Any, status: str = "200 OK", **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return status, {"Content-Type": "application/json", **named}, [json.dumps(value).encode()]


def stream_answer(*events: str | tuple[str, Any]) -> Answer:
    """Events, each a text as it is or a name and a value."""
    pieces = [
        event if isinstance(event, str) else f"event: {event[0]}\ndata: {json.dumps(event[1])}\n\n"
        for event in events
    ]
    kind = {"Content-Type": "text/event-stream; charset=utf-8"}
    return "200 OK", kind, [piece.encode() for piece in pieces] + [b""]


def openai_error(
    status: int, code: str | None, kind: str = "invalid_request_error", **headers: str
) -> Answer:
    error = {"message": "It did not work.", "type": kind, "param": None, "code": code}
    return json_answer({"error": error}, f"{status} Status", **headers)


def anthropic_error(status: int, kind: str, **headers: str) -> Answer:
    error = {"type": kind, "message": "It did not work."}
    found = {"type": "error", "error": error, "request_id": "req_1"}
    return json_answer(found, f"{status} Status", **headers)


def _said(message: Body) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", part.get("content", ""))) for part in content)
    return str(content if content is not None else message.get("output", ""))


def _reply(last: str, tools: Any) -> tuple[str, list[tuple[str, str, Body]], str]:
    """Text, tool calls (id, name, arguments) and why it ended: stop, length or tools."""
    if tools and last.startswith("weather"):
        calls = [
            (f"call_{index}", "weather", {"city": city, "units": "°C"})
            for index, city in enumerate(last.split()[1:])
        ]
        return "Let me look.", calls, "tools"
    if last == "large":
        return "x" * (LARGE_BYTES + 1), [], "stop"
    return (last[:5], [], "length") if last.startswith("cut") else (f"You said: {last} 🙂", [], "stop")


def _pieces(text: str) -> list[str]:
    """As a stream has them: few letters, or much of a long text."""
    size = max(3, len(text) // 50)
    return [text[at : at + size] for at in range(0, len(text), size)]


def _chat(body: Body) -> Answer:
    if not body.get("model") or not body.get("messages"):
        return openai_error(400, code="missing_required_parameter")
    text, calls, end = _reply(_said(body["messages"][-1]), body.get("tools"))
    tool_calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for call_id, name, arguments in calls
    ]
    reason = {"stop": "stop", "length": "length", "tools": "tool_calls"}[end]
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 0},
    }
    head = {"id": "chatcmpl-1", "created": _CREATED, "model": DATED, "system_fingerprint": "fp_1"}
    if not body.get("stream"):
        message: Body = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
        if tool_calls:
            message["tool_calls"] = tool_calls
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return json_answer({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
    counting = bool((body.get("stream_options") or {}).get("include_usage"))

    def chunk(delta: Body, finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        found: Body = {**head, "object": "chat.completion.chunk", "choices": [choice]}
        return f"data: {json.dumps(found | ({'usage': None} if counting else {}))}\n\n"

    events = [chunk({"role": "assistant", "content": "", "refusal": None})]
    events += [chunk({"content": piece}) for piece in _pieces(text)]
    for index, call in enumerate(tool_calls):
        function: Any = call["function"]
        first = {**call, "index": index, "function": {"name": function["name"], "arguments": ""}}
        events.append(chunk({"tool_calls": [first]}))
        events += [
            chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
            for piece in _pieces(function["arguments"])
        ]
    events.append(chunk({}, reason))
    if counting:
        last = {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}
        events.append(f"data: {json.dumps(last)}\n\n")
    return stream_answer(*events, "data: [DONE]\n\n")


def _responses(body: Body) -> Answer:
    if not body.get("model") or "input" not in body:
        return openai_error(400, code="missing_required_parameter")
    text, calls, end = _reply(_said(body["input"][-1]), body.get("tools"))
    content = {"type": "output_text", "text": text, "annotations": []}
    status = "incomplete" if end == "length" else "completed"
    output: list[Body] = [
        {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": [content]}
    ]
    output += [
        {
            "id": f"fc_{call_id}",
            "type": "function_call",
            "status": "completed",
            "call_id": call_id,
            "name": name,
            "arguments": json.dumps(arguments),
        }
        for call_id, name, arguments in calls
    ]
    answer: Body = {
        "id": "resp_1",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if end == "length" else None,
        "instructions": body.get("instructions"),
        "model": DATED,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": body.get("tools") or [],
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 120,
        },
    }
    if not body.get("stream"):
        return json_answer(answer)
    begun = {**answer, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    kinds: list[tuple[str, Body]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
    ]
    for index, item in enumerate(output):
        empty: Body = {"content": []} if item["type"] == "message" else {"arguments": ""}
        added = {**item, "status": "in_progress", **empty}
        at: Body = {"item_id": item["id"], "output_index": index}
        kinds.append(("response.output_item.added", {"output_index": index, "item": added}))
        if item["type"] == "message":
            part = {**content, "text": ""}
            kinds.append(("response.content_part.added", {**at, "content_index": 0, "part": part}))
            kinds += [
                ("response.output_text.delta", {**at, "content_index": 0, "delta": piece, "logprobs": []})
                for piece in _pieces(text)
            ]
            done = {**at, "content_index": 0, "text": text, "logprobs": []}
            kinds.append(("response.output_text.done", done))
            kinds.append(("response.content_part.done", {**at, "content_index": 0, "part": content}))
        else:
            kinds += [
                ("response.function_call_arguments.delta", {**at, "delta": piece})
                for piece in _pieces(item["arguments"])
            ]
            whole = {**at, "arguments": item["arguments"], "name": item["name"]}
            kinds.append(("response.function_call_arguments.done", whole))
        kinds.append(("response.output_item.done", {"output_index": index, "item": item}))
    kinds.append((f"response.{status}", {"response": answer}))
    return stream_answer(
        *((kind, {"type": kind, "sequence_number": n, **found}) for n, (kind, found) in enumerate(kinds))
    )


def _messages(body: Body) -> Answer:
    if not all(body.get(name) for name in ("model", "max_tokens", "messages")):
        return anthropic_error(400, "invalid_request_error")
    if any(message["role"] not in {"user", "assistant"} for message in body["messages"]):
        return anthropic_error(400, "invalid_request_error")
    text, calls, end = _reply(_said(body["messages"][-1]), body.get("tools"))
    content: list[Body] = [{"type": "text", "text": text}]
    content += [
        {"type": "tool_use", "id": call_id, "name": name, "input": arguments}
        for call_id, name, arguments in calls
    ]
    if body.get("thinking"):
        content.insert(0, {"type": "thinking", "thinking": "Hm. Well.", "signature": "c2ln"})
    stop = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use"}[end]
    usage = {
        "input_tokens": 50,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 40,
        "output_tokens": 20,
        "service_tier": "standard",
    }
    message: Body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": DATED,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }
    if not body.get("stream"):
        return json_answer(message)
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events: list[tuple[str, Body]] = [("message_start", {"message": begun}), ("ping", {})]
    for index, block in enumerate(content):
        kind = block["type"]
        first: Body = {
            "text": {"type": "text", "text": ""},
            "thinking": {"type": "thinking", "thinking": "", "signature": ""},
            "tool_use": {**block, "input": {}},
        }[kind]
        events.append(("content_block_start", {"index": index, "content_block": first}))
        deltas: list[Body]
        if kind == "tool_use":
            pieces = ["", *_pieces(json.dumps(block["input"]))]
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        else:
            deltas = [{"type": f"{kind}_delta", kind: piece} for piece in _pieces(block[kind])]
        if kind == "thinking":
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        events += [("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
        events.append(("content_block_stop", {"index": index}))
    last = {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 20}}
    events += [("message_delta", last), ("message_stop", {})]
    return stream_answer(*((kind, {"type": kind, **found}) for kind, found in events))


def _embeddings(body: Body) -> Answer:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [
        {"object": "embedding", "index": index, "embedding": [float(len(text)), 0.5]}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return json_answer({"object": "list", "data": data[::-1], "model": DATED, "usage": usage})


def _openai_models(body: Body) -> Answer:
    model = {"id": DATED, "object": "model", "created": _CREATED, "owned_by": "us"}
    return json_answer({"object": "list", "data": [model]})


def _anthropic_models(body: Body) -> Answer:
    model = {
        "id": DATED,
        "type": "model",
        "display_name": "Tiny",
        "created_at": "2026-01-01T00:00:00Z",
        "max_input_tokens": 1000,
        "max_tokens": 100,
        "capabilities": None,
    }
    return json_answer({"data": [model], "has_more": False, "first_id": DATED, "last_id": DATED})
