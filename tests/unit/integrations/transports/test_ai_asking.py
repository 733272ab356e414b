from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from hub.core.errors import Invalid
from hub.integrations.transports.ai import AiTransport
from hub.integrations.transports.interface import Connection, Prepared

TRANSPORT = AiTransport()
USER = {"role": "user", "content": "a"}


def connection(
    dialect: str = "openai_chat",
    model: str = "m",
    headers: dict[str, str] | None = None,
    **operations: dict[str, Any],
) -> Connection:
    return Connection(
        id=UUID(int=1),
        tenant_id=UUID(int=2),
        base_url="https://api.example.com/v1",
        headers=headers or {},
        settings=TRANSPORT.settings_form.model_validate({"dialect": dialect, "model": model}),
        operations={name: TRANSPORT.operation_form.model_validate(form) for name, form in operations.items()},
        follow_redirects=0,
        tls=None,
        pool_key="key",
    )


def make(given: Any, form: dict[str, Any] | None = None, **where: Any) -> Prepared:
    return TRANSPORT.prepare(connection(own=form or {}, **where), "own", given)


def fault_paths(given: Any, form: dict[str, Any] | None = None, **where: Any) -> set[str]:
    with pytest.raises(Invalid) as caught:
        make(given, form, **where)
    return {fault.path for fault in caught.value.fields}


def test_every_integration_can_chat() -> None:
    prepared = TRANSPORT.prepare(connection(), "chat", {"messages": [USER]})
    assert (prepared.method, prepared.endpoint) == ("chat", "https://api.example.com/v1/chat/completions")
    assert prepared.payload == {"model": "m", "messages": [USER]}
    assert prepared.wire.body == b'{"model":"m","messages":[{"role":"user","content":"a"}]}'
    assert prepared.headers == {"Accept": "application/json", "Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("form", "safe", "idempotent"),
    [
        ({}, False, False),
        ({"idempotent": True}, False, True),
        ({"safe": True}, True, True),
        ({"action": "embeddings"}, True, True),
        ({"action": "embeddings", "safe": False}, False, False),
        ({"action": "list_models"}, True, True),
    ],
)
def test_a_question_costs_twice_when_it_is_asked_twice(
    form: dict[str, Any], safe: bool, idempotent: bool
) -> None:
    given = {"chat": {"messages": [USER]}, "embeddings": {"input": "a"}}.get(form.get("action", "chat"), {})
    prepared = make(given, form)
    assert (prepared.safe, prepared.idempotent) == (safe, idempotent)


def test_the_more_special_model_wins() -> None:
    assert make({"messages": [USER]}).payload["model"] == "m"
    assert make({"messages": [USER]}, {"model": "n"}).payload["model"] == "n"
    assert make({"messages": [USER], "model": "o"}, {"model": "n"}).payload["model"] == "o"
    assert make({"body": {"model": "p"}}, {"model": "n"}).payload == {"model": "p"}
    assert make({"body": {"x": 1}}, {"model": "n"}).payload == {"model": "n", "x": 1}
    assert fault_paths({"messages": [USER]}, model="") == {"input.model"}
    assert fault_paths({"body": {}}, model="") == {"input.model"}


def test_the_inputs_parameters_win_and_null_takes_one_away() -> None:
    form = {"parameters": {"temperature": 1, "seed": 3, "user": "u"}}
    given = {"messages": [USER], "parameters": {"temperature": 0, "seed": None}}
    payload = make(given, form).payload
    assert payload == {"temperature": 0, "user": "u", "model": "m", "messages": [USER]}


def test_a_stream_is_asked_for_with_its_count_where_that_is_known() -> None:
    form = {"stream": True}
    assert make({"messages": [USER]}, form).payload["stream_options"] == {"include_usage": True}
    assert "stream_options" not in make({"messages": [USER]}, form, dialect="openai_compatible").payload
    for dialect in ("openai_responses", "anthropic_messages"):
        given = {"messages": [USER], "parameters": {"max_tokens": 1}}
        assert make(given, form, dialect=dialect).payload["stream"] is True


def test_anthropic_wants_a_longest_length() -> None:
    assert fault_paths({"messages": [USER]}, dialect="anthropic_messages") == {"input.parameters.max_tokens"}
    assert make(
        {"messages": [USER]}, {"parameters": {"max_tokens": 1}}, dialect="anthropic_messages"
    ).headers == {
        "Accept": "application/json",
        "anthropic-version": "2023-06-01",
        "Content-Type": "application/json",
    }


def test_headers_of_the_integration_go_along() -> None:
    sent = make({"messages": [USER]}, headers={"OpenAI-Organization": "o", "content-type": "x"}).headers
    assert sent["OpenAI-Organization"] == "o"
    assert [value for name, value in sent.items() if name.lower() == "content-type"] == ["application/json"]


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        (None, {"input"}),
        ([], {"input"}),
        ({}, {"input.messages"}),
        ({"messages": []}, {"input.messages"}),
        ({"messages": "a"}, {"input.messages"}),
        ({"messages": [USER, "a"]}, {"input.messages.1"}),
        ({"messages": [USER], "tools": {}}, {"input.tools"}),
        ({"messages": [USER], "tools": [3]}, {"input.tools.0"}),
        ({"messages": [USER], "system": 3}, {"input.system"}),
        ({"messages": [USER], "model": ""}, {"input.model"}),
        ({"messages": [USER], "model": 3}, {"input.model"}),
        ({"messages": [USER], "parameters": []}, {"input.parameters"}),
        (
            {"messages": [USER], "parameters": {"stream": True, "model": "x"}},
            {"input.parameters.stream", "input.parameters.model"},
        ),
        ({"messages": [USER], "colour": 1, "temperature": 1}, {"input.colour", "input.temperature"}),
        ({"messages": [USER], "body": {}}, {"input.messages"}),
        ({"body": []}, {"input.body"}),
        ({"messages": [{"content": "\ud800"}]}, {"input"}),
        ({"messages": [USER], "parameters": {"temperature": float("nan")}}, {"input"}),
    ],
)
def test_every_fault_of_a_question_is_named(given: Any, paths: set[str]) -> None:
    assert fault_paths(given) == paths


@pytest.mark.parametrize("value", [None, "", [], [""], ["a", 3], {}])
def test_embeddings_are_made_of_texts(value: Any) -> None:
    assert fault_paths({"input": value}, {"action": "embeddings"}) == {"input.input"}


def test_embeddings_have_parameters_too() -> None:
    form = {"action": "embeddings", "parameters": {"dimensions": 3}}
    prepared = make({"input": "a"}, form)
    assert prepared.endpoint == "https://api.example.com/v1/embeddings"
    assert prepared.payload == {"dimensions": 3, "model": "m", "input": "a"}
    given = {"input": "a", "parameters": {"input": "b"}}
    assert fault_paths(given, form) == {"input.parameters.input"}


def test_a_list_of_models_takes_nothing() -> None:
    prepared = make(None, {"action": "list_models"})
    assert prepared.endpoint == "https://api.example.com/v1/models"
    assert prepared.wire.body is None
    assert prepared.headers == {"Accept": "application/json"}
    assert fault_paths({"limit": 3}, {"action": "list_models"}) == {"input.limit"}


def test_an_unknown_operation_names_those_that_exist() -> None:
    with pytest.raises(Invalid, match="it has chat, own"):
        TRANSPORT.prepare(connection(own={}), "other", {})


@pytest.mark.parametrize(
    ("dialect", "form", "paths"),
    [
        ("openai_chat", {}, set()),
        ("openai_chat", {"parameters": {"messages": [], "top_p": 1}}, {"x.parameters.messages"}),
        ("openai_responses", {"parameters": {"input": []}}, {"x.parameters.input"}),
        ("anthropic_messages", {"action": "embeddings"}, {"x.action"}),
        (
            "openai_chat",
            {"action": "list_models", "system": "a", "stream": True, "tools": [{}]},
            {"x.system", "x.stream", "x.tools"},
        ),
    ],
)
def test_the_faults_of_an_operation_are_named(dialect: str, form: dict[str, Any], paths: set[str]) -> None:
    settings = TRANSPORT.settings_form.model_validate({"dialect": dialect})
    operation = TRANSPORT.operation_form.model_validate(form)
    assert {fault.path for fault in TRANSPORT.operation_faults(operation, settings, "x")} == paths
    assert TRANSPORT.operation_faults(operation, None, "x") == []


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://api.openai.com", False),
        ("https://api.anthropic.com/", False),
        ("https://api.openai.com/v1", True),
        ("https://models.example.com", True),
    ],
)
def test_the_version_belongs_to_the_address(url: str, right: bool) -> None:
    settings = TRANSPORT.settings_form.model_validate({"dialect": "openai_chat"})
    assert [fault.path for fault in TRANSPORT.settings_faults(settings, url)] == (
        [] if right else ["base_url"]
    )


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"dialect": "other"},
        {"dialect": "openai_chat", "prices": {"m": {"input_per_million": 1}}},
        {"dialect": "openai_chat", "prices": {"m": {"input_per_million": -1, "output_per_million": 1}}},
        {"dialect": "anthropic_messages", "anthropic_version": "a\r\nb"},
        {"dialect": "openai_chat", "key": "secret"},
    ],
)
def test_wrong_settings_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TRANSPORT.settings_form.model_validate(value)
