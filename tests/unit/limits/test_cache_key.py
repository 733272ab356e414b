"""Keys of answers: equal for equal calls, different for all others, each tenant's own."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

import pytest

from hub.limits.cache import cache_key

TENANT = UUID(int=7)


def test_the_order_of_members_does_not_matter() -> None:
    one = cache_key(TENANT, "op", {"a": 1, "b": {"c": [1, 2], "d": None}})
    assert one == cache_key(TENANT, "op", {"b": {"d": None, "c": [1, 2]}, "a": 1})


def test_the_tenant_stands_in_front_and_the_rest_has_a_fixed_length() -> None:
    tenant, digest = cache_key(TENANT, "x" * 10_000).split(":")
    assert tenant == TENANT.hex
    assert len(digest) == 64


def test_different_calls_have_different_keys() -> None:
    calls: list[tuple[Any, ...]] = [
        (),
        ("",),
        ("", ""),
        ("ab", "c"),
        ("a", "bc"),
        ('a","b',),
        (["a", "b"],),
        ("a", "b"),
        (["ab"],),
        (1,),
        (1.0,),
        (True,),
        ("1",),
        (0.0,),
        (-0.0,),
        (2**53,),
        (2**53 + 1,),
        (float(2**53),),
        (0.1,),
        (0.1 + 1e-17 + 1e-16,),
        (None,),
        ("null",),
        ({},),
        ([],),
        ({"a": 1},),
        ({"a": "1"},),
        ([["a", 1]],),
        ("é",),
        ("e\u0301",),
        ("\ud800",),
    ]
    keys = [cache_key(TENANT, *parts) for parts in calls]
    for (first, one), (second, other) in itertools.combinations(zip(calls, keys, strict=True), 2):
        assert one != other, (first, second)


def test_tenants_never_share_a_key() -> None:
    assert cache_key(UUID(int=1), "x") != cache_key(UUID(int=2), "x")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_has_not_are_refused(number: float) -> None:
    with pytest.raises(ValueError):
        cache_key(TENANT, {"n": [number]})


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        cache_key(TENANT, object())
