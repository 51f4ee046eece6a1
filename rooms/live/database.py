"""Threads for the database work of the live analysis."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import Error as DatabaseError
from django.db import connections

P = ParamSpec("P")
R = TypeVar("R")

KEPT_OPEN_S = 10.0
"""A connection is used for so long: with SQLite, to open one costs 2 ms, more than to read a consent with it, and each
room would do so twice a second. *Assumption* on the time."""

_of_thread = threading.local()


class DatabaseThreads:
    """Of their own, so that work which waits for a lock holds up nothing else."""

    def __init__(self, count: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[P, R], *args: P.args, **more: P.kwargs) -> R:
        """Raises whatever `work` does."""
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: _with_connection(lambda: work(*args, **more))
        )


def _with_connection(work: Callable[[], R]) -> R:
    now_s = time.monotonic()
    if now_s - getattr(_of_thread, "opened_s", float("-inf")) > KEPT_OPEN_S:
        connections.close_all()
        _of_thread.opened_s = now_s
    try:
        return work()
    except DatabaseError:
        connections.close_all()  # it may be the connection itself that broke
        raise
