"""The options of `hub up`."""

from __future__ import annotations

import click
import pytest

from hub.cli.up import pool_sizes


def test_pools_that_are_not_named_keep_one_process() -> None:
    assert pool_sizes("") == {"execute": 1, "deliver": 1, "system": 1}
    assert pool_sizes("deliver=3, system=0") == {"execute": 1, "deliver": 3, "system": 0}


@pytest.mark.parametrize("text", ["deliver", "deliver=", "deliver=-1", "deliver=many", "send=1"])
def test_what_is_not_a_pool_with_a_number_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="deliver=2"):
        pool_sizes(text)
