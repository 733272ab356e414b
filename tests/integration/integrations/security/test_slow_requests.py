"""Requests that wait on a tenant's own services leave the API to everybody else."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from hub.access.scopes import Scope
from tests.integration.integrations.provider import Answer, Provider
from tests.integration.integrations.world import World
from tests.support.waiting import until


def test_tests_of_a_service_that_hangs_leave_threads_for_other_tenants(
    world: World, provider: Provider
) -> None:
    gate = threading.Event()
    provider.default = lambda _call: Answer(gate=gate)
    made = world.create(provider.url)
    other = world.other_key(Scope.ADMIN, tenant="other")

    def test() -> int:
        given = {"operation": "get_user", "input": {"path": {"id": 1}}}
        return world.call("POST", f"/integrations/{made['id']}/test", json=given).status_code

    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(test) for _ in range(50)]
        try:
            until(lambda: len(provider.calls) + sum(one.done() for one in asked) == 50, what="all of them")
            begun = time.monotonic()
            assert world.call("GET", "/integrations", key=other).status_code == 200
            assert time.monotonic() - begun < 8
        finally:
            gate.set()
        statuses = [one.result() for one in asked]
    assert sorted(set(statuses)) == [200, 503]
    assert 1 <= statuses.count(200) <= 8
    assert test() == 200
