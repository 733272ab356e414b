"""Lists that come in pages."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hub.core.secret import Secret
from hub.integrations.auth import registry
from hub.integrations.auth.mode import Credentials
from hub.integrations.transports.http import RestTransport
from hub.net.cancellation import Cancellation
from hub.net.outcome import ErrorClass, Outcome
from tests.integration.integrations.auth.served import Served, serving
from tests.integration.integrations.transports.calls import Caller
from tests.integration.integrations.transports.rest_service import (
    ITEMS,
    JOINED,
    Answer,
    ListService,
    json_answer,
)

CURSOR = {"kind": "cursor", "items": "data.items", "cursor": "meta.next", "parameter": "after"}
LISTS: dict[str, dict[str, Any]] = {
    "cursor": CURSOR,
    "stripe": {
        "kind": "cursor",
        "items": "data",
        "cursor": "data.-1.id",
        "parameter": "starting_after",
        "more": "has_more",
    },
    "body": {
        "kind": "cursor",
        "items": "results",
        "cursor": "after",
        "parameter": "after",
        "parameter_in": "body",
    },
    "header": {"kind": "cursor", "cursor": "header:X-Next-Page", "parameter": "page"},
    "link": {"kind": "link"},
    "number": {"kind": "page", "items": "items", "parameter": "page"},
    "offset": {"kind": "offset", "items": "items", "parameter": "skip"},
    "next": {"kind": "next_url", "items": "value", "cursor": "@odata.nextLink"},
}


@pytest.fixture
def service() -> ListService:
    return ListService()


@pytest.fixture
def served(service: ListService) -> Iterator[Served]:
    with serving(service) as served:
        yield served


@pytest.fixture
def caller(served: Served) -> Iterator[Caller]:
    operations: dict[str, Any] = {
        name: {"path": f"/{name}", "pagination": form} for name, form in LISTS.items()
    }
    operations["body"] |= {"method": "POST", "safe": True}
    operations["keyed"] = operations["cursor"] | {"idempotency_key": "Idempotency-Key"}
    operations["number_total"] = {"path": "/number", "pagination": LISTS["number"] | {"total": "pages"}}
    operations["offset_total"] = {"path": "/offset", "pagination": LISTS["offset"] | {"total": "total"}}
    made = Caller(RestTransport(), served.url, operations=operations)
    yield made
    made.session.close()


def notes(outcome: Outcome) -> dict[str, str]:
    return {name: value for name, value in outcome.headers.items() if name.startswith("hub-")}


@pytest.mark.parametrize("name", LISTS)
def test_every_kind_of_list_is_read_to_its_end(caller: Caller, name: str) -> None:
    outcome = caller.call(name, {})
    assert outcome.ok, outcome.message
    assert outcome.body == JOINED
    # A counted list without a total ends with an empty page.
    pages = "4" if name in {"number", "offset"} else "3"
    assert notes(outcome) == {"hub-pages": pages, "hub-more": "false"}
    assert outcome.headers["content-type"] == "application/json"
    assert not {"link", "content-encoding", "content-length"} & set(outcome.headers)
    assert outcome.timings.total_ms > 0


@pytest.mark.parametrize("name", ["number_total", "offset_total"])
def test_a_total_saves_the_empty_page(caller: Caller, name: str, service: ListService) -> None:
    outcome = caller.call(name, {})
    assert outcome.body == JOINED
    assert len(service.asked) == 3


@pytest.mark.parametrize("name", LISTS)
def test_the_cap_on_pages_is_told(caller: Caller, name: str, service: ListService) -> None:
    outcome = caller.call(name, {"max_pages": 2})
    assert json.loads(outcome.body) == [json.loads(item) for item in ITEMS[:6]]
    told = notes(outcome)
    following = told.pop("hub-next", None)
    assert told == {"hub-pages": "2", "hub-more": "true", "hub-stop": "max_pages"}
    assert len(service.asked) == 2
    assert (following is None) == (name in {"link", "next"})


@pytest.mark.parametrize("name", ["cursor", "stripe", "header", "number", "offset", "body"])
def test_a_caller_can_go_on_where_it_was_cut(caller: Caller, name: str) -> None:
    following: Any = caller.call(name, {"max_pages": 2}).headers["hub-next"]
    given: dict[str, Any] = {"query": {LISTS[name]["parameter"]: following}}
    if name == "body":
        given = {"body": {LISTS[name]["parameter"]: int(following)}}
    outcome = caller.call(name, given)
    assert json.loads(outcome.body) == [json.loads(item) for item in ITEMS[6:]]


def test_a_call_may_want_one_page_as_it_comes(caller: Caller, service: ListService) -> None:
    outcome = caller.call("cursor", {"paginate": False})
    assert json.loads(outcome.body)["meta"] == {"next": "c3"}
    assert notes(outcome) == {}
    assert len(service.asked) == 1


def test_the_query_of_the_input_goes_with_every_page(caller: Caller, service: ListService) -> None:
    caller.call("cursor", {"query": {"q": "a b", "tag": ["x", "y"]}})
    assert service.asked == [
        "/cursor?q=a+b&tag=x&tag=y",
        "/cursor?q=a+b&tag=x&tag=y&after=c3",
        "/cursor?q=a+b&tag=x&tag=y&after=c6",
    ]


def test_the_body_of_the_input_goes_with_every_page(caller: Caller, service: ListService) -> None:
    caller.call("body", {"body": {"filter": "ü"}})
    assert [json.loads(body) for body in service.bodies] == [
        {"filter": "ü"},
        {"filter": "ü", "after": 3},
        {"filter": "ü", "after": 6},
    ]


def test_one_key_goes_with_every_page(caller: Caller, service: ListService) -> None:
    assert caller.call("keyed", {}, idempotency_key="k1").ok
    assert service.keys == ["k1"] * 3


def test_all_pages_share_the_cap_on_bytes(caller: Caller, service: ListService) -> None:
    page = len(caller.call("cursor", {"paginate": False}).body)
    outcome = caller.call("cursor", {}, max_bytes=page * 2 + 10)
    assert outcome.ok
    assert json.loads(outcome.body) == [json.loads(item) for item in ITEMS[:6]]
    assert notes(outcome) == {
        "hub-pages": "2",
        "hub-more": "true",
        "hub-stop": "max_bytes",
        "hub-next": "c6",
    }
    first = caller.call("cursor", {}, max_bytes=page - 1)
    assert first.error_class is ErrorClass.TOO_LARGE


@pytest.mark.parametrize(
    ("status", "error_class"),
    [("401 No", ErrorClass.HTTP_4XX), ("503 Busy", ErrorClass.HTTP_5XX)],
)
def test_a_page_that_fails_at_length_is_no_end_of_the_list(
    caller: Caller, service: ListService, status: str, error_class: ErrorClass
) -> None:
    def second(query: dict[str, str]) -> Answer:
        if query:
            return status, {"Retry-After": "7"}, b"x" * 5000
        return json_answer('{"data":{"items":[1]},"meta":{"next":"c1"}}')

    service.answers["/cursor"] = second
    outcome = caller.call("cursor", {}, max_bytes=1000)
    assert outcome.error_class is error_class
    assert outcome.message.startswith("Page 2: ")
    assert outcome.headers["retry-after"] == "7"


def test_all_pages_share_the_deadline(caller: Caller, service: ListService) -> None:
    def slow(query: dict[str, str]) -> Answer:
        time.sleep(1)  # how long the service takes
        return json_answer(f'{{"data":{{"items":[1]}},"meta":{{"next":"{len(service.asked)}"}}}}')

    service.answers["/cursor"] = slow
    begun = time.monotonic()
    outcome = caller.call("cursor", {}, timeout=2.7)
    # Each page comes in time for a deadline of its own.
    assert time.monotonic() - begun < 6
    assert outcome.error_class is ErrorClass.TIMEOUT
    assert outcome.message.startswith(("Page 2: ", "Page 3: "))
    assert outcome.timings.total_ms > 500


def test_cancelling_ends_the_reading_of_pages(caller: Caller, service: ListService) -> None:
    cancellation = Cancellation()

    def second(query: dict[str, str]) -> Answer:
        if query:
            cancellation.cancel()
        return json_answer(f'{{"data":{{"items":[1]}},"meta":{{"next":"{len(service.asked)}"}}}}')

    service.answers["/cursor"] = second
    assert caller.call("cursor", {}, cancellation=cancellation).error_class is ErrorClass.CANCELLED
    assert len(service.asked) == 2


def test_a_page_that_fails_is_the_calls_failure(caller: Caller, service: ListService) -> None:
    def second(query: dict[str, str]) -> Answer:
        if query:
            return "429 Too Many", {"Retry-After": "7"}, b"slow down"
        return json_answer('{"data":{"items":[1]},"meta":{"next":"c1"}}')

    service.answers["/cursor"] = second
    outcome = caller.call("cursor", {})
    assert (outcome.status, outcome.error_class, outcome.body) == (429, ErrorClass.HTTP_4XX, b"slow down")
    assert outcome.headers["retry-after"] == "7"
    assert outcome.message == "Page 2: The answer was status 429."


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cursor", '{"data":{"items":[1]},"meta":{"next":"again"}}'),
        ("number", '{"items":[1]}'),
        ("offset", '{"items":[1]}'),
        ("next", '{"value":[1],"@odata.nextLink":"/next"}'),
    ],
)
def test_a_service_that_turns_in_a_circle_is_not_followed(
    caller: Caller, service: ListService, name: str, content: str
) -> None:
    service.answers[f"/{name}"] = lambda _query: json_answer(content)
    outcome = caller.call(name, {})
    assert outcome.ok
    assert notes(outcome)["hub-stop"] == "repeated_page"
    assert notes(outcome)["hub-more"] == "true"
    assert len(service.asked) <= 2


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2:{port}/next",
        "http://localhost:{port}/next",
        "https://127.0.0.1:{port}/next",
        "//evil.example/next",
        "http://127.0.0.1:1/next",
        "http://user@127.0.0.1:{port}/next",
        "http://127.0.0.1:{port}\\@evil.example/",
        "file:///etc/passwd",
        "http://[",
    ],
)
@pytest.mark.parametrize("kind", ["next", "link"])
def test_credentials_do_not_follow_a_list_to_another_origin(
    caller: Caller, service: ListService, served: Served, target: str, kind: str
) -> None:
    address = target.format(port=served.url.rpartition(":")[2])
    content = json.dumps({"value": [1], "@odata.nextLink": address}) if kind == "next" else "[1]"
    headers = {"Link": f"<{address}>; rel=next"} if kind == "link" else {}
    service.answers[f"/{kind}"] = lambda _query: json_answer(content, **headers)
    outcome = caller.call(kind, {})
    assert outcome.error_class is ErrorClass.PROVIDER_ERROR
    assert outcome.message.startswith("Page 1 cannot be read: the next page")
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<html>", "the answer has no list at data.items"),
        ('{"data":{"items":{}}}', "the answer has no list at data.items"),
        ('{"data":{"items":[1,]}}', "the answer is not valid JSON"),
        ("[" * 100_000, "the answer is not valid JSON"),
        ('{"data":' + "[" * 100_000 + "}", "the answer is not valid JSON"),
        (
            '{"data":{"items":[1]},"meta":{"next":{}}}',
            "what the answer has at meta.next is neither a text nor a number",
        ),
        (
            '{"data":{"items":[1]},"meta":{"next":true}}',
            "what the answer has at meta.next is neither a text nor a number",
        ),
    ],
    ids=["html", "object", "comma", "nested", "nested inside", "object as cursor", "true as cursor"],
)
def test_an_answer_that_is_no_page_is_a_failure(
    caller: Caller, service: ListService, content: str, text: str
) -> None:
    service.answers["/cursor"] = lambda _query: json_answer(content)
    outcome = caller.call("cursor", {})
    assert outcome.error_class is ErrorClass.PROVIDER_ERROR
    assert outcome.message == f"Page 1 cannot be read: {text}."


def test_an_answer_cannot_forge_the_notes(caller: Caller, service: ListService) -> None:
    service.answers["/cursor"] = lambda _query: json_answer(
        '{"data":{"items":[]}}', Hub_Pages="9", Hub_More="true", Hub_Stop="x", Hub_Next="y"
    )
    outcome = caller.call("cursor", {})
    assert outcome.body == b"[]"
    assert notes(outcome) == {"hub-pages": "1", "hub-more": "false"}


def test_a_key_in_the_query_is_not_doubled_by_addresses_that_repeat_it(
    caller: Caller, service: ListService
) -> None:
    parameters = {"mode": "api_key", "in": "query", "name": "key", "prefix": ""}
    mode = registry.MODES["api_key"]
    assert mode.sign is not None
    secrets = {"key": Secret("s3cret-key")}
    caller.credentials = Credentials("api_key", parameters, secrets, mode.sign(parameters, secrets))
    assert caller.call("next", {}).body == JOINED
    assert service.asked == [
        "/next?key=s3cret-key",
        "/next?$skip=3&q=a%20b&key=s3cret-key",
        "/next?$skip=6&q=a%20b&key=s3cret-key",
    ]
