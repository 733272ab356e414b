"""One flag that a worker's main process raises and its pool processes see: stop claiming, hand rows back.

A byte of shared memory, made before the pool forks. Celery tells only the main process about a shutdown; without
this a pump would learn of it when it is killed.
"""

from __future__ import annotations

import mmap

_flag = mmap.mmap(-1, 1)


def request() -> None:
    """Raise the flag; there is no way back in this process tree."""
    _flag[0] = 1


def requested() -> bool:
    """Is the worker shutting down?"""
    return _flag[0] == 1
