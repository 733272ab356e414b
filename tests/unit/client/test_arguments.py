"""Arguments of the wrong kind are named before anything is sent."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hub.client.http import HttpClient

CLIENT = HttpClient("http://127.0.0.1:9", "hub_key")


@pytest.mark.parametrize("labels", ["ab", b"ab", {"a": 1}])
def test_labels_are_no_text_and_no_mapping(labels: Any) -> None:
    for ask in (CLIENT.publish, CLIENT.dry_run_event):
        with pytest.raises(TypeError, match="labels must be a list of texts, not a "):
            cast("Any", ask)("a.b", {}, labels=labels)


@pytest.mark.parametrize("wait", ["x", True, [1]])
def test_a_wait_is_a_number(wait: Any) -> None:
    with pytest.raises(TypeError, match="wait must be a number of seconds"):
        CLIENT.execute("int_1", "get", wait=wait)


def test_a_wait_ends() -> None:
    with pytest.raises(ValueError, match="wait must be a finite number of seconds"):
        CLIENT.execute("int_1", "get", wait=float("inf"))
