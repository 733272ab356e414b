"""Places for requests that wait on others: on services of tenants, on their names' servers, on expressions.

Each such request holds one of the process' threads for many seconds, and there are forty. Whoever asks for more at once
than the share of one tenant is turned away, so that the threads of all others stay free.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hub.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

#: Half of the threads that serve requests (anyio's default is forty).
_TOTAL = 20
_PER_TENANT = 8


class SlowRequests:
    """Those of one process. Thread-safe.

    Args:
        total: at once.
        per_tenant: at once, of one tenant.
    """

    def __init__(self, *, total: int = _TOTAL, per_tenant: int = _PER_TENANT) -> None:
        self._total = total
        self._per_tenant = per_tenant
        self._lock = threading.Lock()
        self._held: dict[Hashable, int] = {}

    @contextmanager
    def place(self, tenant: Hashable) -> Iterator[None]:
        """Hold a place while something slow is done.

        Args:
            tenant: who asks.

        Raises:
            Unavailable: there is none; nothing was done.
        """
        with self._lock:
            mine = self._held.get(tenant, 0)
            if mine >= self._per_tenant or sum(self._held.values()) >= self._total:
                raise Unavailable(
                    "Too many requests that wait for other services are under way here; try again in a moment."
                )
            self._held[tenant] = mine + 1
        try:
            yield
        finally:
            with self._lock:
                self._held[tenant] -= 1
                if not self._held[tenant]:
                    del self._held[tenant]
