"""The client that answers from fixtures, and the fixtures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub.client.fixtures import MISSING, Answer, Fixture, FixtureError, differences
from hub.client.testing import FixtureClient, UnknownCallError

BY_HAND = {
    "hub_fixture": 1,
    "integration": "crm",
    "operation": "get_user",
    "input": {"path": {"id": 42}},
    "answer": {"data": {"name": "Ada"}},
}


def written(folder: Path, name: str, **changes: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps({**BY_HAND, **changes}))
    return path


def test_a_fixture_written_by_hand_answers_as_the_hub_does(tmp_path: Path) -> None:
    with FixtureClient(written(tmp_path, "a.json")) as hub:
        done: Any = hub.execute("crm", "get_user", {"path": {"id": 42}}, wait=10, user="kim")
    assert (done["state"], done["result"]["data"], done["user"]) == ("done", {"name": "Ada"}, "kim")
    assert done["result"]["status"] == 200
    assert hub.calls[0].options == {"wait": 10, "user": "kim"}


def test_without_a_wait_the_end_is_asked_for(tmp_path: Path) -> None:
    hub = FixtureClient(written(tmp_path, "a.json", execution="exe_1", integration_id="int_1"))
    accepted = hub.execute("int_1", "get_user", {"path": {"id": 42}})
    assert accepted == {"id": "exe_1", "state": "due"}
    assert hub.get_execution("exe_1")["integration"] == "int_1"
    with pytest.raises(UnknownCallError, match="exe_2"):
        hub.get_execution("exe_2")


def test_fixtures_of_one_call_are_answers_in_turn(tmp_path: Path) -> None:
    failed = {"status": 503, "error": {"type": "http_5xx", "message": "no", "recoverable": True}}
    written(tmp_path, "1.json", answer=failed)
    written(tmp_path, "2.json")
    hub = FixtureClient(tmp_path)

    def state(**options: Any) -> str:
        return hub.execute("crm", "get_user", {"path": {"id": 42}}, wait=1, **options)["state"]

    assert state(idempotency_key="k") == "failed"
    assert hub.unused() == [tmp_path / "2.json"]
    assert [state(), state(), state(idempotency_key="k")] == ["done", "done", "failed"]
    assert hub.unused() == []


def test_an_unknown_call_shows_what_comes_nearest(tmp_path: Path) -> None:
    far = written(tmp_path, "a.json", operation="other", input={"path": {"id": 43}})
    near = written(tmp_path, "b.json")
    hub = FixtureClient(tmp_path)
    with pytest.raises(UnknownCallError) as caught:
        hub.execute("crm", "get_user", {"path": {"id": 43}, "query": {"q": "x"}}, wait=1)
    said = str(caught.value)
    assert (str(near) in said, str(far) in said) == (True, False)
    assert "input.path.id is 42, here 43" in said
    assert 'input.query is nothing, here {"q": "x"}' in said
    with pytest.raises(UnknownCallError, match='integration is "crm", here "erp"'):
        hub.execute("erp", "get_user", {"path": {"id": 42}}, wait=1)


def test_an_answer_that_a_caller_changes_stays_as_it_is(tmp_path: Path) -> None:
    hub = FixtureClient(written(tmp_path, "a.json"))
    for _ in range(2):
        done: Any = hub.execute("crm", "get_user", {"path": {"id": 42}}, wait=1)
        assert done["result"]["data"] == {"name": "Ada"}
        done["result"]["data"].clear()


@pytest.mark.parametrize(
    ("recorded", "given", "paths"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ["a.1.b"]),
        ({"a": 1}, {"b": 1}, ["a", "b"]),
        ([1], [1, 2], ["1"]),
        (1, True, [""]),
        (1, 1.0, []),
        ({"card": "***"}, {"card": {"any": "thing"}}, []),
        ({"card": "***"}, {}, ["card"]),
        ("Bearer ***", "Bearer abc", []),
        ("Bearer ***", "Basic abc", [""]),
        ("x.***.y", "xayby", [""]),
    ],
)
def test_differences_are_places_and_masks_are_equal_to_anything(
    recorded: Any, given: Any, paths: list[str]
) -> None:
    assert [one.path for one in differences(recorded, given)] == paths


def test_a_fixture_is_read_as_it_was_written(tmp_path: Path) -> None:
    answer = Answer("failed", "permanent", 404, {"x": "y"}, "é", "text", True, {"type": "http_4xx"})
    request: dict[str, Any] = {"method": "GET", "endpoint": "https://x/", "headers": {}, "payload": None}
    path = tmp_path / "a.json"
    made = Fixture(
        "crm", "get_user", {"a": 1}, answer, request, "int_1", "exe_1", "2026-01-01T00:00:00Z", path
    )
    path.write_text(made.to_json())
    assert Fixture.read(path) == made


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is no fixture"),
        ('{"hub_fixture": 2}', "format 2"),
        ({"answer": []}, "answer must be an object"),
        ({"operation": 1}, "operation must be a text"),
        ({"answer": {"state": "due"}}, r"answer\.state must be one of done, failed"),
        ({"answer": {"encoding": "xml"}}, r"answer\.encoding must be one of json"),
        ({"answer": {"status": "200"}}, r"answer\.status must be a number"),
    ],
)
def test_a_file_that_is_no_fixture_is_named_with_the_reason(tmp_path: Path, content: Any, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content if isinstance(content, str) else json.dumps({**BY_HAND, **content}))
    with pytest.raises(FixtureError, match=said) as caught:
        FixtureClient(path)
    assert str(path) in str(caught.value)


def test_no_fixtures_at_all_are_no_fixtures(tmp_path: Path) -> None:
    with pytest.raises(FixtureError, match="no fixtures"):
        FixtureClient(tmp_path)
    with pytest.raises(FixtureError, match="cannot be read"):
        FixtureClient(tmp_path / "missing.json")


def test_what_has_nothing_says_so() -> None:
    assert repr(MISSING) == "nothing"
