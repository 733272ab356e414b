"""Children for expressions go to tenants in turns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hub.core.errors import Unavailable
from hub.transforms import ExpressionFailed, Sandbox, acting_for
from tests.support.waiting import until

ENDLESS = "$reduce([1..9999999], function($a, $b){$a + $b})"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(children=1, timeout=0.2) as made:
        made.evaluate("jmespath", "a", {"a": 1})
        yield made


def waiting(sandbox: Sandbox) -> int:
    return sum(map(len, sandbox._waiting.values()))


def test_endless_expressions_of_one_tenant_keep_no_other_waiting(sandbox: Sandbox) -> None:
    order: list[str] = []

    def ask(who: str, expression: str) -> None:
        with acting_for(who):
            with suppress(ExpressionFailed):
                sandbox.evaluate("jsonata", expression, {"a": 1})
            order.append(who)

    greedy = [threading.Thread(target=ask, args=("greedy", ENDLESS)) for _ in range(8)]
    for thread in greedy:
        thread.start()
    until(lambda: waiting(sandbox) == 7, what="a line")
    ask("modest", "a")
    assert order.index("modest") <= 2
    for thread in greedy:
        thread.join(10)
    assert (order.count("greedy"), waiting(sandbox), sandbox._taken) == (8, 0, 0)
    assert sandbox.evaluate("jmespath", "a", {"a": 1}) == 1


def test_who_waited_too_long_leaves_the_line_and_its_place_to_others() -> None:
    with Sandbox(children=1, timeout=0.5, wait=0.1) as sandbox:
        sandbox.evaluate("jmespath", "a", {"a": 1})

        def hog() -> None:
            with suppress(ExpressionFailed):
                sandbox.evaluate("jsonata", ENDLESS, 1)

        hogs = threading.Thread(target=hog)
        hogs.start()
        until(lambda: sandbox._taken == 1, what="a taken child")
        with pytest.raises(Unavailable):
            sandbox.evaluate("jmespath", "a", {"a": 1})
        hogs.join(5)
        assert (waiting(sandbox), sandbox._taken) == (0, 0)
        assert sandbox.evaluate("jmespath", "a", {"a": 1}) == 1


def test_closing_wakes_who_waits(sandbox: Sandbox) -> None:
    ends: list[type[BaseException] | None] = []

    def ask() -> None:
        try:
            sandbox.evaluate("jsonata", ENDLESS, 1)
        except (Unavailable, ExpressionFailed) as error:
            ends.append(type(error))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: waiting(sandbox) == 2, what="a line")
    sandbox.close()
    for thread in threads:
        thread.join(5)
    assert sorted(one.__name__ for one in ends if one) == ["ExpressionFailed", "Unavailable", "Unavailable"]
